"""Makes open.onnx: a classifier of images of any height and width, untrained.

Run with torch 2.15 and onnx 1.22: python export_open.py
"""

import torch
from torch import nn


class Open(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU()
        )
        self.head = nn.Linear(16, 10)

    def forward(self, image):
        features = self.features(image / 16)
        records, channels, rows, columns = features.shape
        return self.head(features.reshape(records, channels, rows * columns).amax(2))


torch.manual_seed(3)
model = Open()
model.eval()
torch.onnx.export(
    model,
    (torch.zeros(2, 1, 10, 12),),
    "open.onnx",
    input_names=["image"],
    output_names=["digit"],
    dynamic_axes={"image": {0: "batch", 2: "height", 3: "width"}, "digit": {0: "batch"}},
    dynamo=False,
)
