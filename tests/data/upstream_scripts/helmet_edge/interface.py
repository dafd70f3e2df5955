"""The little model: finds the lit part of a picture and believes in it as much as it is lit."""

import numpy as np


class Estimator:
    def __init__(self, **kwargs):
        self.level = None

    def load(self, model_url=""):
        self.level = int(np.load(model_url))

    def predict(self, data, **kwargs):
        brightness = np.array(data).max(axis=2)
        rows, columns = np.nonzero(brightness > self.level)
        if not len(rows):
            return []
        score = round(float(brightness.max()) / 255, 3)
        return [[int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max()), score, 2]]
