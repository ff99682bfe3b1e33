"""An application of plain ASGI, so that it starts quickly, which does whatever its path says."""

SOURCE = """
import asyncio, os, subprocess, sys, time

print("it begins with", os.environ.get("TOKEN"), flush=True)
held = []


def ask_model(headers):
    import json, urllib.request
    messages = [{"role": "user", "content": "hello"}]
    body = {"model": "8080/taalas/llama3.1-8b-instruct", "messages": messages, "max_tokens": 2}
    passed = {name.decode(): value.decode() for name, value in headers.items() if name.startswith(b"x-sim-")}
    key = os.environ["_8080_API_KEY"]
    asked = urllib.request.Request(
        os.environ["_8080_API_URL"] + "/v1/chat/completions", json.dumps(body).encode(),
        {**passed, "authorization": "Bearer " + key, "content-type": "application/json"},
    )
    with urllib.request.urlopen(asked) as answer:
        return json.dumps(dict(answer.headers)).encode()


def ask_platform(target):
    import http.client
    host = os.environ["_8080_PLATFORM_URL"].removeprefix("http://")
    connection = http.client.HTTPConnection(host)
    connection.request("GET", target)
    return b"%d" % connection.getresponse().status


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    path = scope["path"]
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[0]})
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("text") == "bye":
                await send({"type": "websocket.close", "code": 3001})
                return
            await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})
        return
    body = b""
    while (message := await receive()).get("more_body"):
        body += message["body"]
    body += message.get("body", b"")
    status, answer = 200, b"hello"
    if path == "/crash":
        os._exit(3)
    elif path == "/hang":
        time.sleep(600)
    elif path == "/eat":
        held.append(bytearray(b"x") * (400 << 20))
    elif path == "/work":
        until = time.process_time() + float(body)
        while time.process_time() < until:
            pass
    elif path == "/daemon":
        child = "import os,time; os.setsid(); time.sleep(600)"
        answer = b"%d" % subprocess.Popen([sys.executable, "-c", child]).pid
    elif path == "/environ":
        import json
        answer = json.dumps({**os.environ, "cwd": os.getcwd()}).encode()
    elif path == "/list":
        answer = repr(sorted(os.listdir(body))).encode()
    elif path == "/open":
        try:
            with open(body.decode(), "ab" if scope["query_string"] == b"write" else "rb"):
                answer = b"opened"
        except OSError as error:
            answer = type(error).__name__.encode()
    elif path == "/model":
        answer = await asyncio.to_thread(ask_model, dict(scope["headers"]))
    elif path == "/ask":
        answer = await asyncio.to_thread(ask_platform, body.decode())
    elif path == "/echo":
        answer = repr([scope["method"], scope["query_string"], sorted(scope["headers"]), body]).encode()
    elif path == "/stream":
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number in range(3):
            data = b"data: %d %.6f\\n\\n" % (number, time.time())
            await send({"type": "http.response.body", "body": data, "more_body": True})
            await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b""})
        return
    elif path == "/break":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        os._exit(4)
    elif path != "/":
        status = 404
    headers = [(b"content-length", b"%d" % len(answer)), (b"x-of-app", b"yes")]
    headers += [(b"set-cookie", b"a=b"), (b"clear-site-data", b"*")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
"""
