# SageMaker's scikit-learn container with this project installed, as `image_build` of terraform/ builds it.
#
# `train` and `serve` are the container's own, so the image is an `image_uri` for endpoints and training jobs. AWS Batch runs
# the project from a separate environment. It uses the container's scikit-learn, numpy, pandas and pyarrow, and installs
# nothing into the environment that serves.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}

# Packages of your own model go here: RUN python -m pip install --no-cache-dir PACKAGE

COPY . /opt/egress-sentinel/source
RUN python -m venv --system-site-packages /opt/egress-sentinel/environment \
    && /opt/egress-sentinel/environment/bin/python -m pip install --no-cache-dir /opt/egress-sentinel/source \
    && rm -r /opt/egress-sentinel/source

# SageMaker passes `train` or `serve`, AWS Batch its job's command.
ENTRYPOINT []
