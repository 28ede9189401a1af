# chereme serve on a CPU, for any user and a read-only file system:
#   docker build -t chereme .
#   docker run --rm --read-only --tmpfs /tmp -p 127.0.0.1:8000:8000 chereme
# prints the address with its token. Other commands take the place of "serve":
#   docker run --rm -v "$PWD:/data:ro" chereme recognize /data/clip.mp4
ARG PYTHON=3.13-slim-bookworm

FROM python:${PYTHON} AS build
# Without pip, which is needed here alone.
RUN python -m venv --without-pip /opt/chereme
WORKDIR /source
COPY . .
# What it installs is this folder; its pyproject.toml says the versions of the rest.
# hadolint ignore=DL3013
RUN pip --python /opt/chereme/bin/python install --no-cache-dir '.[web]'

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="chereme" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/chereme /opt/chereme
ENV PATH=/opt/chereme/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# A number, so that "must not be root" can be checked; nothing belongs to it.
USER 10001:10001
WORKDIR /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["chereme"]
CMD ["serve", "--host", "0.0.0.0"]
