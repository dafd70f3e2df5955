"""An edge worker as scripts for Sedna's library are written: it knows `sedna` only.

The "video" is an .npy file with frames (number, height, width, 3), and results are written as JSON instead of pictures.
"""

import json
import time
from pathlib import Path

import numpy as np
from interface import Estimator
from sedna.common.config import Context
from sedna.common.file_ops import FileOps
from sedna.common.log import LOGGER
from sedna.core.joint_inference import JointInference

camera_address = Context.get_parameters("video_url")
reopen_seconds = float(Context.get_parameters("reopen_seconds", "5"))
all_output = Context.get_parameters("all_examples_inference_output")
hard_edge_output = Context.get_parameters("hard_example_edge_inference_output")
hard_cloud_output = Context.get_parameters("hard_example_cloud_inference_output")

FileOps.clean_folder([all_output, hard_cloud_output, hard_edge_output], clean=False)


def write(folder, nframe, boxes):
    Path(folder, f"{nframe}.json").write_text(json.dumps(boxes))


def output_deal(is_hard_example, final, edge, cloud, nframe):
    write(all_output, nframe, final)
    if not is_hard_example:
        return
    if cloud is not None:
        write(hard_cloud_output, nframe, final)
    write(hard_edge_output, nframe, edge)


def main():
    hard_example_mining = JointInference.get_hem_algorithm_from_config(threshold_img=0.9)
    inference_instance = JointInference(estimator=Estimator, hard_example_mining=hard_example_mining)

    fps = 10
    nframe = 0
    while True:
        for picture in np.load(camera_address):
            if nframe % fps:
                nframe += 1
                continue
            nframe += 1
            img_rgb = np.ascontiguousarray(picture[..., ::-1])
            LOGGER.info(f"camera is open, current frame index is {nframe}")
            is_hard_example, final, edge, cloud = inference_instance.inference(img_rgb)
            output_deal(is_hard_example, final, edge, cloud, nframe)
        LOGGER.info(f"camera is not open, camera_address={camera_address}, sleep {reopen_seconds} second.")
        time.sleep(reopen_seconds)


if __name__ == "__main__":
    main()
