"""Prints every run that did not succeed, and every tick that was dropped. Needs `pip install nats-py`.

A durable consumer keeps its place on the server: what happens while this program is away, it prints when it is back.
"""

import asyncio
import json
import os
import sys

import nats
from nats.js.api import ConsumerConfig, DeliverPolicy

NAMESPACE = os.environ.get("TICKMESH_NAMESPACE", "tickmesh")


async def main():
    connection = await nats.connect(os.environ.get("TICKMESH_NATS_URL", "nats://127.0.0.1:4222"))
    jetstream = connection.jetstream()
    for subject, stream, durable, callback in [
        ("history", "history", "watch-runs", on_run),
        ("tick", "ticks", "watch-ticks", on_tick),
    ]:
        await jetstream.subscribe(
            f"{NAMESPACE}.{subject}.>",
            stream=f"{NAMESPACE}_{stream}",
            durable=durable,
            cb=callback,
            config=ConsumerConfig(deliver_policy=DeliverPolicy.NEW),
        )
    print("watching", flush=True)
    await asyncio.Event().wait()


async def on_run(message):
    run = json.loads(message.data)
    if run["outcome"] not in ("succeeded", "cancelled"):
        print(f"{run['app']}/{run['run']}: {run['outcome']}", flush=True)
    await message.ack()


async def on_tick(message):
    tick = json.loads(message.data)
    if tick["admission"]["admission"] == "drop":
        print(f"{tick['app']}: the tick of {tick['scheduled_at']} was dropped", flush=True)
    await message.ack()


try:
    asyncio.run(main())
except KeyboardInterrupt:
    sys.exit(130)
