#!/bin/sh
# Serves the gateway, for the Procfile and for the image: sh deploy/serve_api.sh [OPTION OF GRANIAN ...] TARGET
#
# One process, so that one subscription to Redis wakes every waiter; a waiter holds a thread. A stop lets requests end,
# but not event streams, which last as long as their jobs: their clients reconnect.
#
# The variables keep hundreds of threads from hoarding the memory that they have freed: see docs/performance.md. A value
# that the environment has already is left as it is.
tunables=glibc.malloc.tcache_count=0:glibc.malloc.mmap_threshold=131072:glibc.pthread.stack_cache_size=0
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-1}"
export GLIBC_TUNABLES="${GLIBC_TUNABLES:-$tunables}"
export _RJEM_MALLOC_CONF="${_RJEM_MALLOC_CONF:-tcache:false,narenas:1,dirty_decay_ms:100,muzzy_decay_ms:0}"
exec granian --interface wsgi --workers 1 --blocking-threads "${QUEUECAST_API_THREADS:-576}" \
  --blocking-threads-idle-timeout 5 --backpressure 1024 --workers-kill-timeout 15 "$@"
