"""Measures `attn-fiqa serve` on loopback, with the standard library only.

Every figure is printed with what it is compared with. The client shares the machine's processors
with the service, so its own work counts against the service.
"""

import argparse
import asyncio
import json
import os
import re
import resource
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Service:
    """A running service and the limits it was started with."""

    def __init__(self, binary, *options, jobs=None):
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--log-format", "json", *options]
        if jobs:
            command += ["--jobs", str(jobs)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.port = None
        for line in self.process.stderr:
            event = json.loads(line)
            if event.get("event") == "listening":
                self.port = int(event["address"].rpartition(":")[2])
            if event.get("event") == "ready":
                break
        # Read by a separate process, so that the log never makes the service wait.
        self.drain = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)

    def rss(self):
        """Resident memory in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024

    def metric(self, name):
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as stream:
            stream.sendall(b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            text = b"".join(iter(lambda: stream.recv(65536), b"")).decode()
        return float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE).group(1))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def request(body, close=False):
    head = (
        "POST /v1/score HTTP/1.1\r\nhost: a\r\ncontent-type: application/octet-stream\r\n"
        f"content-length: {len(body)}\r\n"
    )
    if close:
        head += "connection: close\r\n"
    return head.encode() + b"\r\n" + body


async def exchange(reader, writer, message):
    """Sends a request on an open connection; returns its status and seconds."""
    began = time.perf_counter()
    writer.write(message)
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head).group(1))
    await reader.readexactly(length)
    return int(head[9:12]), time.perf_counter() - began


async def closed_loop(port, bodies, clients):
    """Sends all bodies once, from clients that each wait for their answer; returns images per second."""
    waiting = iter(bodies)
    statuses = Counter()

    async def client():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for body in waiting:
            status, _ = await exchange(reader, writer, request(body))
            statuses[status] += 1
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return len(bodies) / (time.perf_counter() - began), statuses


async def open_loop(port, bodies, rate, seconds, watch):
    """Sends requests at a fixed rate, each on its own connection."""
    statuses, accepted = Counter(), []

    async def one(body):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            status, took = await exchange(reader, writer, request(body, close=True))
            writer.close()
        except (OSError, asyncio.IncompleteReadError) as error:
            statuses[type(error).__name__] += 1
            return
        statuses[status] += 1
        if status == 200:
            accepted.append(took)

    tasks, began, sent, watched = set(), time.perf_counter(), 0, []
    while (now := time.perf_counter() - began) < seconds:
        while sent < now * rate:
            task = asyncio.ensure_future(one(bodies[sent % len(bodies)]))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            sent += 1
        watched.append(watch())
        await asyncio.sleep(0.02)
    if tasks:
        await asyncio.wait(tasks)
    return statuses, sorted(accepted), watched


def load_images(source, count, folder):
    """Image files from a tar, written to a folder for the command line."""
    bodies = []
    with tarfile.open(source) as archive:
        for member in archive:
            if member.isfile() and member.name.lower().endswith((".jpg", ".png")):
                body = archive.extractfile(member).read()
                (folder / f"{len(bodies):05}{Path(member.name).suffix}").write_bytes(body)
                bodies.append(body)
                if len(bodies) == count:
                    break
    return bodies


def example_images(count, folder):
    names = sorted((ROOT / "examples/faces").glob("*.png"))
    files = [(ROOT / "examples/astronaut.png"), *names]
    bodies = [files[index % len(files)].read_bytes() for index in range(count)]
    for index, body in enumerate(bodies):
        (folder / f"{index:05}.png").write_bytes(body)
    return bodies


def throughput(binary, bodies, folder, rounds, clients, jobs):
    """Images per second of the service and of the command line, in alternating rounds."""
    service = Service(binary, jobs=jobs)
    line = [binary, "score", str(folder), "--format", "jsonl", "--output", "/dev/null", "--quiet"]
    if jobs:
        line += ["--jobs", str(jobs)]
    ratios, ours, theirs = [], [], []
    asyncio.run(closed_loop(service.port, bodies[:50], clients))
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run(line, check=False)
        theirs.append(len(bodies) / (time.perf_counter() - began))
        rate, statuses = asyncio.run(closed_loop(service.port, bodies, clients))
        assert set(statuses) == {200}, statuses
        ours.append(rate)
        ratios.append(rate / theirs[-1])
    service.stop()
    print(
        f"throughput: service {statistics.median(ours):.1f} images/s, command line "
        f"{statistics.median(theirs):.1f} images/s, ratio {statistics.median(ratios):.2f} "
        f"(of {', '.join(f'{ratio:.2f}' for ratio in ratios)})"
    )
    return statistics.median(ours)


def overload(binary, bodies, capacity, queue, seconds, jobs):
    """Twice the capacity: statuses, latency of accepted requests, memory over time."""
    service = Service(binary, "--max-queue", str(queue), jobs=jobs)
    asyncio.run(closed_loop(service.port, bodies[:200], 8))
    before = service.rss()
    statuses, accepted, memory = asyncio.run(
        open_loop(service.port, bodies, 2 * capacity, seconds, service.rss)
    )
    assert set(statuses) <= {200, 429}, statuses
    rate = statuses[200] / seconds
    p50, p99 = (accepted[int(len(accepted) * part)] for part in (0.5, 0.99))
    half = memory[len(memory) // 2 :]
    print(
        f"overload: {2 * capacity:.0f} requests/s for {seconds} s: {dict(statuses)}; answered "
        f"{rate:.1f} images/s; accepted p50 {p50:.2f} s, p99 {p99:.2f} s, queue × service time "
        f"{queue / rate:.2f} s; memory {before:.0f} MiB before, {max(memory):.0f} at most, second "
        f"half {min(half):.0f}–{max(half):.0f}, {service.rss():.0f} after"
    )
    service.stop()


def bomb():
    """A PNG that declares 30,000 × 30,000 pixels, all of which are present once inflated."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    inflater = zlib.compressobj(9)
    line = b"\0" * (1 + 30_000 * 3)
    data = b"".join(inflater.compress(line) for _ in range(30_000)) + inflater.flush()
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def reset(stream):
    """Closes a connection the way a killed client does."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()


def one(port, message, limit=60):
    with socket.create_connection(("127.0.0.1", port), timeout=limit) as stream:
        stream.sendall(message)
        return b"".join(iter(lambda: stream.recv(65536), b""))


def hostile(binary, bodies, idle, jobs):
    """Misbehaving clients, and whether the service answers others meanwhile and afterwards."""
    service = Service(binary, "--header-timeout", "300", "--body-timeout", "5", jobs=jobs)
    port, good = service.port, request(bodies[0], close=True)

    def healthy(what):
        began = time.perf_counter()
        answer = one(port, good)
        assert answer.startswith(b"HTTP/1.1 200"), (what, answer[:200])
        print(f"  {what}: score answered in {time.perf_counter() - began:.2f} s, {service.rss():.0f} MiB")

    print("hostile clients:")
    healthy("before")
    killed = []
    for index in range(200):
        stream = socket.create_connection(("127.0.0.1", port))
        message = request(bodies[index % len(bodies)])
        stream.sendall(message[: len(message) // 2] if index % 2 else message)
        killed.append(stream)
        if len(killed) == 20:
            while killed:
                reset(killed.pop())
    healthy("200 killed clients")

    half = []
    for _ in range(100):
        stream = socket.create_connection(("127.0.0.1", port))
        stream.sendall(request(bodies[0])[:-1])
        half.append(stream)
    healthy("100 half-sent bodies")
    statuses = Counter()
    for stream in half:
        stream.settimeout(30)
        statuses[stream.recv(4096)[9:12].decode()] += 1
        stream.close()
    print(f"    their answers: {dict(statuses)}")

    streams = []
    for _ in range(idle):
        streams.append(socket.create_connection(("127.0.0.1", port)))
    healthy(f"{idle} idle connections ({service.metric('attn_fiqa_connections'):.0f} open)")
    for stream in streams:
        stream.close()

    head = request(b"").replace(b"content-length: 0", b"content-length: 10000000000")
    answer = one(port, head.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
    print(f"  10 GB announced: {answer[9:12].decode()}")
    chunked = head.replace(b"content-length: 10000000000", b"transfer-encoding: chunked")
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=60) as stream:
        stream.sendall(chunked)
        part = b"100000\r\n" + b"\0" * (1 << 20) + b"\r\n"
        try:
            while sent < 10_000:
                stream.sendall(part)
                sent += 1
        except OSError:
            pass
        try:
            answer = stream.recv(4096)[9:12].decode()
        except OSError as error:
            answer = type(error).__name__
    print(f"  10 GB in pieces: taken {sent} MiB, then {answer}")
    healthy("after them")

    picture = bomb()
    began = time.perf_counter()
    status = json.loads(one(port, request(picture, close=True)).partition(b"\r\n\r\n")[2])
    print(
        f"  PNG bomb of {len(picture) >> 10} KiB for 2.7 GB: "
        f"{status['images'][0]['status']} in {time.perf_counter() - began:.2f} s"
    )
    healthy("after it")
    left = [
        service.metric(f"attn_fiqa_{name}") for name in ("images_in_flight", "in_flight_bytes", "queue_depth")
    ]
    assert left == [0, 0, 0], left
    assert service.stop() == 0


def end_under_load(binary, bodies, jobs):
    """SIGTERM under load: what connected clients received."""
    service = Service(binary, jobs=jobs)
    statuses = Counter()

    async def client():
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            except OSError:
                statuses["refused"] += 1
                return
            try:
                status, _ = await exchange(reader, writer, request(bodies[0], close=True))
            except (OSError, asyncio.IncompleteReadError) as error:
                statuses[type(error).__name__] += 1
                continue
            statuses[status] += 1

    async def load():
        clients = [asyncio.ensure_future(client()) for _ in range(16)]
        await asyncio.sleep(2)
        service.process.send_signal(signal.SIGTERM)
        await asyncio.wait(clients)

    asyncio.run(load())
    print(f"SIGTERM under load: {dict(statuses)}, exit status {service.process.wait()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--images", type=Path, help="a .tar of photos [default: the examples]")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--queue", type=int, default=32)
    parser.add_argument("--seconds", type=int, default=60, help="of overload")
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--only", choices=["throughput", "overload", "hostile", "end"])
    args = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    wanted = [args.only] if args.only else ["throughput", "overload", "hostile", "end"]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        bodies = (
            load_images(args.images, args.count, folder)
            if args.images
            else example_images(args.count, folder)
        )
        print(
            f"{len(bodies)} images, {sum(map(len, bodies)) / len(bodies) / 1024:.0f} KiB each, "
            f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
        )
        capacity = None
        if "throughput" in wanted or "overload" in wanted:
            rounds = args.rounds if "throughput" in wanted else 1
            capacity = throughput(args.binary, bodies, folder, rounds, args.clients, args.jobs)
        if "overload" in wanted:
            overload(args.binary, bodies, capacity, args.queue, args.seconds, args.jobs)
        if "hostile" in wanted:
            hostile(args.binary, bodies, args.idle, args.jobs)
        if "end" in wanted:
            end_under_load(args.binary, bodies, args.jobs)


if __name__ == "__main__":
    sys.exit(main())
