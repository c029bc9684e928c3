"""Makes digits_0_to_4.onnx: a convolutional network that knows the digits 0 to 4, with a new head for all ten.

Run with torch 2.15, onnxscript 0.7 and scikit-learn 1.9 (the data): python pretrain.py
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(5)
images, labels = load_digits(return_X_y=True)
known = labels < 5
images = torch.tensor(images[known], dtype=torch.float32).reshape(-1, 1, 8, 8)
labels = torch.tensor(labels[known])


class Scaled(nn.Module):
    """Brings pixels of 0 to 16 to 0 to 1."""

    def forward(self, image):
        return image / 16


features = nn.Sequential(
    Scaled(),
    nn.Conv2d(1, 16, 3, padding=1, bias=False),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 16, 3, padding=1),
    nn.ReLU(),
    nn.Flatten(),
)
model = nn.Sequential()
model.add_module("features", features)
model.add_module("head", nn.Linear(256, 5))
optimizer = torch.optim.Adam(model.parameters(), lr=0.002)
for _ in range(20):
    for rows in torch.randperm(len(labels)).split(32):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[rows]), labels[rows]).backward()
        optimizer.step()
model.eval()
print("accuracy on what it has seen:", (model(images).argmax(1) == labels).float().mean().item())

model.head = nn.Sequential(nn.Linear(256, 24), nn.ReLU(), nn.Linear(24, 10))
model.eval()
torch.onnx.export(
    model,
    (images[:2],),
    "digits_0_to_4.onnx",
    input_names=["image"],
    output_names=["logits"],
    dynamic_shapes=({0: torch.export.Dim("batch")},),
    external_data=False,
    dynamo=True,
)
