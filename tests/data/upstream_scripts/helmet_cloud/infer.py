"""A cloud worker as scripts for Sedna's library are written: it knows `sedna` only."""

from interface import Estimator
from sedna.core.joint_inference import BigModelService


def run():
    big_model = BigModelService(estimator=Estimator)
    big_model.start()


if __name__ == "__main__":
    run()
