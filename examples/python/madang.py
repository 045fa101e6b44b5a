"""An internal service of a Madang cluster, with the .proto files and NATS alone.

docs/services.md tells what goes over the wire; this is the same in code. It calls actors and follows channels:

    service = await Service.connect("nats://127.0.0.1:4222", cluster="prod", name="bot", user="bot", password="…")
    reply = await service.call("Presence", "7", "ask", actor_pb2.AskRequest(), actor_pb2.PresenceReply)
    async for entry in service.follow("d1.2", after_id=0): …

Python 3.10 or later.
"""

import asyncio
import itertools
import json
import random
import secrets
import sys
import time
from pathlib import Path

import nats

# Generated code imports its siblings by their bare names. generate.py writes it.
sys.path.insert(0, str(Path(__file__).resolve().parent / "generated"))
import actor_pb2  # noqa: E402
import client_pb2  # noqa: E402
import cluster_pb2  # noqa: E402

PROTOCOL = 1
EXECUTED = ("no", "maybe", "yes")
# Failures that say: not here, not now. They did not run.
ELSEWHERE = {"MOVED", "UNAVAILABLE", "SHUTTING_DOWN"}
# A call that may run twice and has no answer after so many seconds is sent again: its node may be dead.
REPEAT_AFTER = 1.5
# A follower that has died is forgotten after the lease; the renewal shows what was lost without a trace.
LEASE = 20.0
RENEW_EVERY = 5.0
# Notices that wait for a slow reader. What does not fit is read from the log.
NOTICES_MAX = 1_000
# Of replies that came in pieces and are not whole yet.
PIECES_BYTES_MAX = 33_554_432


class Failure(Exception):
    """What became of a call. executed: "no" (refused, it took no effect), "maybe" (unknown), or "yes"."""

    def __init__(self, code, message, executed="no", retryable=True, retry_after=0.0, detail=None):
        super().__init__(f"{code}: {message} (executed: {executed})")
        self.code = code
        self.executed = executed
        self.retryable = retryable
        self.retry_after = retry_after
        self.detail = detail or {}

    @staticmethod
    def from_wire(wire):
        detail = json.loads(wire.detail) if wire.detail else {}
        executed = EXECUTED[wire.executed]
        return Failure(wire.code, wire.message, executed, wire.retryable, wire.retry_after_ms / 1000, detail)


class Service:
    """One life of a service: it has an id, and with it an inbox, of its own."""

    @classmethod
    async def connect(cls, url, cluster, name, **credentials):
        self = cls()
        incarnation = secrets.token_hex(6)
        self.id = f"svc-{name}#{incarnation}"
        self._route = f"madang.{cluster}.route.{name}"
        self._inbox = f"madang.{cluster}.service.{name}.{incarnation}"
        self._numbers = itertools.count(1)
        self._waiting = {}  # call id → future
        self._notices = {}  # channel → queue
        self._pieces = {}  # (node, lane) → pieces of one batch
        self._nats = await nats.connect(
            url,
            name=f"service {name}",
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.2,
            ping_interval=5,
            max_outstanding_pings=2,
            disconnected_cb=self._disconnected,
            reconnected_cb=self._reconnected,
            error_cb=self._problem,
            **credentials,
        )
        await self._nats.subscribe(f"{self._inbox}.>", cb=self._receive)
        await self._nats.flush()
        return self

    async def close(self):
        await self._nats.drain()

    # ---- calls

    async def call(self, service, actor_id, method, request, reply_type, deadline=10.0, repeatable=False):
        """Returns the reply, or raises a Failure, within `deadline` seconds.

        What is known not to have run is sent again. So is what nobody answers, if it is `repeatable`: it changes nothing, or
        has a number that makes it count once.
        """
        ends = time.monotonic() + deadline
        may_have_run = False
        for attempt in itertools.count():
            left = ends - time.monotonic()
            if left <= 0:
                raise Failure("DEADLINE_EXCEEDED", "no answer came", "maybe" if may_have_run else "no")
            try:
                wait = min(left, REPEAT_AFTER) if repeatable else left
                payload = await self._attempt(service, actor_id, method, request, left, wait)
                return reply_type.FromString(payload)
            except asyncio.TimeoutError:
                may_have_run = True
            except Failure as failure:
                nowhere = failure.code in ELSEWHERE and failure.executed == "no"
                nobody_knows = repeatable and failure.retryable and failure.executed == "maybe"
                may_have_run = may_have_run or nobody_knows
                if not nowhere and not nobody_knows:
                    if may_have_run and failure.executed == "no":
                        failure.executed = "maybe"  # this attempt was refused; an earlier one may have run
                    raise
                await asyncio.sleep(min(max(0.0, left), random.uniform(0, min(0.5, 0.02 * 2**attempt))))

    async def _attempt(self, service, actor_id, method, request, left, wait):
        if not self._nats.is_connected:
            raise Failure("UNAVAILABLE", "NATS is away")  # the client would keep it and send it when it is too late
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send(service, actor_id, method, request, number, left)
            return await asyncio.wait_for(answer, wait)
        finally:
            del self._waiting[number]

    async def _send(self, service, actor_id, method, request, number, left=0.0):
        """number 0: one-way."""
        call = cluster_pb2.Call(
            call_id=number,
            service=service,
            method=method,
            ids=[actor_id],
            deadline_ms=int(left * 1000) + 1 if number else 0,
            payload=request.SerializeToString(),
        )
        setattr(call, "from", self.id)  # a word of Python
        batch = cluster_pb2.Batch(protocol=PROTOCOL, envelopes=[cluster_pb2.Envelope(call=call)])
        # The server tells this subject when nobody takes it.
        try:
            await self._nats.publish(self._route, batch.SerializeToString(), reply=f"{self._inbox}.nack.{number}")
        except nats.errors.Error as error:
            raise Failure("UNAVAILABLE", str(error)) from error

    # ---- what comes

    async def _receive(self, message):
        tokens = message.subject.split(".")
        if tokens[5] == "nack":
            return self._answer(int(tokens[6]), failure=Failure("UNAVAILABLE", "no node took the call"))
        batch = cluster_pb2.Batch.FromString(message.data)
        if batch.piece:
            whole = self._assemble((message.reply.split(".")[3], tokens[5]), batch)
            if whole is None:
                return
            batch = cluster_pb2.Batch.FromString(whole)
        for envelope in batch.envelopes:
            if envelope.HasField("reply"):
                reply = envelope.reply
                failure = Failure.from_wire(reply.failure) if reply.HasField("failure") else None
                self._answer(reply.call_id, reply.payload, failure)
            elif envelope.HasField("call") and envelope.call.service == "Follower":
                notice = actor_pb2.SettledNotice.FromString(envelope.call.payload)
                notices = self._notices.get(notice.channel_id)
                if notices is not None and not notices.full():
                    notices.put_nowait(notice)

    def _answer(self, number, payload=b"", failure=None):
        answer = self._waiting.get(number)
        if answer is None or answer.done():
            return  # too late
        if failure is not None:
            answer.set_exception(failure)
        else:
            answer.set_result(payload)

    def _assemble(self, way, batch):
        """What one node sends in one lane comes in order: pieces that do not continue what is there end it."""
        pieces = self._pieces.pop(way, [])
        if batch.pieces_before != len(pieces):
            return None
        pieces.append(batch.piece)
        if batch.pieces_left == 0:
            return b"".join(pieces)
        held = sum(len(piece) for others in self._pieces.values() for piece in others)
        if held + sum(map(len, pieces)) <= PIECES_BYTES_MAX:
            self._pieces[way] = pieces
        return None

    async def _disconnected(self):
        self._pieces.clear()

    async def _reconnected(self):
        """Notices may have been lost: None makes a follower renew now."""
        for notices in self._notices.values():
            if not notices.full():
                notices.put_nowait(None)

    async def _problem(self, error):
        print(f"NATS: {error}", file=sys.stderr)

    # ---- following

    async def follow(self, channel_id, after_id):
        """Yields every settled entry above `after_id`, once and in order, for ever.

        Keep the id of the last one that you have dealt with, and go on after it in your next life. Ids are dense: whatever was
        lost shows as a gap, or with the next renewal, and is read from the log.
        """
        notices = self._notices[channel_id] = asyncio.Queue(NOTICES_MAX)
        known = after_id
        renew_at = 0.0
        try:
            while True:
                if time.monotonic() >= renew_at:
                    had = after_id
                    lease = actor_pb2.FollowRequest(follower=self.id, lease_ms=int(LEASE * 1000))
                    granted = await self._patiently(channel_id, "follow", lease, actor_pb2.FollowReply)
                    if granted.last_id < had:
                        raise Failure("LOG_WENT_BACK", "the log ends below what was had of it", retryable=False)
                    renew_at = time.monotonic() + min(RENEW_EVERY, granted.lease_ms / 3000)
                    known = max(known, granted.last_id)
                while after_id < known:
                    missing = history_after(channel_id, after_id)
                    page = await self._patiently(channel_id, "history", missing, actor_pb2.HistoryReply)
                    for entry in map(client_pb2.Entry.FromString, page.entries):
                        if entry.message_id == after_id + 1:
                            after_id += 1
                            yield entry
                try:
                    notice = await asyncio.wait_for(notices.get(), max(0.0, renew_at - time.monotonic()))
                except asyncio.TimeoutError:
                    continue
                if notice is None:
                    renew_at = 0.0
                    continue
                for entry in map(client_pb2.Entry.FromString, notice.entries):
                    known = max(known, entry.message_id)
                    if entry.message_id == after_id + 1:
                        after_id += 1
                        yield entry
        finally:
            del self._notices[channel_id]
            if self._nats.is_connected:  # else the lease ends by itself
                await self._send("Channel", channel_id, "unfollow", actor_pb2.UnfollowNotice(follower=self.id), 0)

    async def _patiently(self, channel_id, method, request, reply_type):
        """Again for as long as time may heal it."""
        while True:
            try:
                return await self.call("Channel", channel_id, method, request, reply_type, repeatable=True)
            except Failure as failure:
                if not failure.retryable and failure.executed == "no":
                    raise
                await asyncio.sleep(max(0.2, min(failure.retry_after, RENEW_EVERY)))


def history_after(channel_id, after_id):
    """user 0: asked by the house, which sees all."""
    after = client_pb2.History(
        channel_id=channel_id, anchor=after_id, direction=client_pb2.History.Direction.AFTER, limit=200
    )
    return actor_pb2.HistoryRequest(user_id=0, history=after)
