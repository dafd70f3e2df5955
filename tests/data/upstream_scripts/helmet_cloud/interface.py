"""The big model: as the little one, but sure of itself, and able to tell red helmets (class 1) from others (class 2)."""

import numpy as np


class Estimator:
    def __init__(self, **kwargs):
        self.level = None

    def load(self, model_url=""):
        self.level = int(np.load(model_url))

    def predict(self, data, **kwargs):
        picture = np.array(data, np.uint8)
        rows, columns = np.nonzero(picture.max(axis=2) > self.level)
        if not len(rows):
            return []
        red, green, blue = (int(picture[rows, columns, channel].max()) for channel in range(3))
        label = 1 if red > max(green, blue) else 2
        return [[int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max()), 0.97, label]]
