"""A small service: announces something in a channel, looks whether a person is there, follows a channel.

    python service.py announce d1.2 "Maintenance at ten."
    python service.py presence 1
    python service.py follow d1.2 --after 0

Where and who: NATS_URL, MADANG_CLUSTER, SERVICE_NAME, NATS_USER, NATS_PASSWORD. One line of JSON a fact. Exit codes: 0 done,
1 refused (it took no effect), 2 unknown (do the same again).
"""

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import sys
from pathlib import Path

from madang import Failure, Service, actor_pb2, client_pb2


def say(**facts):
    print(json.dumps(facts, ensure_ascii=False), flush=True)


class Outbox:
    """The numbers of what was announced, on the disk before it is sent: the same number again is kept once, however often it
    is sent, and that is what makes it safe to try again after a crash."""

    def __init__(self, path):
        self._path = Path(path)
        if self._path.exists():
            self._state = json.loads(self._path.read_text())
        else:
            self._state = {"producer": 1 + secrets.randbelow(2**53 - 1), "numbers": {}, "waiting": None}

    @property
    def waiting(self):
        return self._state["waiting"]

    def add(self, channel_id, text):
        number = self._state["numbers"].get(channel_id, 0) + 1
        self._state["waiting"] = {"channel_id": channel_id, "number": number, "text": text}
        self._write()

    def done(self, kept):
        waiting = self.waiting
        if kept:  # what was refused has taken no number
            self._state["numbers"][waiting["channel_id"]] = waiting["number"]
        self._state["waiting"] = None
        self._write()

    def request(self):
        waiting = self.waiting
        return actor_pb2.AnnounceRequest(
            producer=self._state["producer"], number=waiting["number"], text=waiting["text"]
        )

    def _write(self):
        beside = self._path.with_suffix(".new")
        with open(beside, "w") as file:
            json.dump(self._state, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)


async def announce(service, arguments):
    outbox = Outbox(arguments.outbox)
    if outbox.waiting is not None:  # of a life that ended before it knew
        await send(service, outbox)
    outbox.add(arguments.channel, arguments.text)
    await send(service, outbox)


async def send(service, outbox):
    channel_id = outbox.waiting["channel_id"]
    try:
        kept = await service.call(
            "Channel", channel_id, "announce", outbox.request(), actor_pb2.PostReply, repeatable=True
        )
    except Failure as failure:
        if failure.executed != "maybe" and not failure.retryable:
            outbox.done(kept=failure.executed == "yes")
        raise
    outbox.done(kept=True)
    say(channelId=channel_id, messageId=kept.message_id, timeMs=kept.time_ms)


async def presence(service, arguments):
    asked = actor_pb2.AskRequest(asker_id=0)  # the house asks
    reply = await service.call("Presence", str(arguments.user), "ask", asked, actor_pb2.PresenceReply, repeatable=True)
    there = reply.presence
    state = client_pb2.Presence.State.Name(there.state)
    say(userId=there.user_id, state=state, lastActiveAtMs=there.last_active_at_ms)


async def follow(service, arguments):
    count = 0
    async with contextlib.aclosing(service.follow(arguments.channel, arguments.after)) as entries:
        async for entry in entries:
            kind = entry.content.WhichOneof("kind")
            text = getattr(getattr(entry.content, kind), "text", "") if kind else ""
            say(messageId=entry.message_id, author=entry.author, timeMs=entry.time_ms, kind=kind, text=text)
            count += 1
            if count == arguments.count:
                return


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("announce")
    command.add_argument("channel")
    command.add_argument("text")
    command.add_argument("--outbox", default="outbox.json", help="file with the producer and its numbers")
    command.set_defaults(run=announce)
    command = commands.add_parser("presence")
    command.add_argument("user", type=int)
    command.set_defaults(run=presence)
    command = commands.add_parser("follow")
    command.add_argument("channel")
    command.add_argument("--after", type=int, default=0, help="id of the last entry that is known already")
    command.add_argument("--count", type=int, default=0, help="ends after so many entries; 0: never")
    command.set_defaults(run=follow)
    return parser.parse_args()


async def main():
    given = arguments()
    user, password = os.environ.get("NATS_USER"), os.environ.get("NATS_PASSWORD")
    service = await Service.connect(
        os.environ.get("NATS_URL", "nats://127.0.0.1:4222"),
        cluster=os.environ.get("MADANG_CLUSTER", "madang"),
        name=os.environ.get("SERVICE_NAME", "bot"),
        **({"user": user, "password": password} if user else {}),
    )
    try:
        await given.run(service, given)
    finally:
        await service.close()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
    except Failure as failure:
        print(failure, file=sys.stderr)
        sys.exit(2 if failure.executed == "maybe" else 1)
