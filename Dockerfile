# One image for every part: worker, page, intake, migrate. Its version of Python is that of the locks.
FROM python:3.12-slim-bookworm

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TZ=UTC \
    MOTCUA_DATA_DIR=/var/lib/motcua \
    NUMBA_CACHE_DIR=/var/cache/motcua/numba

WORKDIR /opt/motcua
COPY bootstrap.lock run.lock ./
RUN python -m pip install --no-cache-dir --require-hashes -r bootstrap.lock \
    && uv pip install --system --no-cache --compile-bytecode --require-hashes -r run.lock

RUN useradd --system --uid 10001 --no-create-home motcua \
    && install -d -o motcua -g motcua /var/lib/motcua /var/cache/motcua/numba

COPY rates ./rates
COPY streams ./streams
COPY producers ./producers
COPY sinks ./sinks
COPY dashboards ./dashboards
COPY infra ./infra
COPY motcua ./motcua
RUN python -m compileall -q .

USER motcua
# What is compiled is kept in NUMBA_CACHE_DIR, so that no worker waits for it. On another kind of processor than
# the one that built the image a worker compiles anew at its start, and keeps that there, too.
RUN python -m streams.compiled

STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "motcua"]
CMD ["--help"]
