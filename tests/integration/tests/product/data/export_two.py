"""Makes two.onnx: a network with two inputs (a place and a kind) and two outputs (a zone and its heights), untrained.

Run with torch 2.15 and onnx 1.22: python export_two.py
"""

import torch
from torch import nn


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.kinds = nn.Embedding(4, 3)
        self.hidden = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.zone = nn.Linear(32, 3)
        self.height = nn.Linear(32, 2)

    def forward(self, place, kind):
        kinds = self.kinds(kind).flatten(1)
        hidden = self.hidden(torch.cat([place, kinds], 1))
        return self.zone(hidden), self.height(hidden)


torch.manual_seed(3)
model = Two()
model.eval()
names = ["place", "kind", "zone", "height"]
torch.onnx.export(
    model,
    (torch.zeros(2, 2), torch.zeros(2, 1, dtype=torch.int64)),
    "two.onnx",
    input_names=names[:2],
    output_names=names[2:],
    dynamic_axes={name: {0: "batch"} for name in names},
    dynamo=False,
)
