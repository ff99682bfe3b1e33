// openai for npm.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";

import OpenAI, { toFile } from "openai";
import { zodFunction, zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const LLAMA = "8080/taalas/llama3.1-8b-instruct";
const GPT_OSS = "8080/llm_server/gpt-oss-20b";
const LIMITED = "8080/taalas/limited";
const messages = [{ role: "user", content: "hello" }];
const Weather = z.object({ city: z.string(), sky: z.enum(["sun", "rain"]) });
const client = new OpenAI();

test("a chat costs the tokens of its prompt and of its answer", async () => {
  const answer = await client.chat.completions.create({ model: LLAMA, messages });
  assert.equal(answer.usage.prompt_tokens, 11);
  assert.equal(answer.usage.completion_tokens, 24);
  assert.equal(answer.choices[0].finish_reason, "stop");
});

test("a stream says what the answer in one piece says", async () => {
  const whole = await client.chat.completions.create({ model: LLAMA, messages });
  const stream = await client.chat.completions.create({
    model: LLAMA,
    messages,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let usage;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.deepEqual(usage, whole.usage);
});

test("its runner calls the tool, sends the result and ends in text", async () => {
  const asked = [];
  const get_weather = (input) => {
    asked.push(input);
    return "rain";
  };
  const tool = zodFunction({ name: "get_weather", parameters: Weather, function: get_weather });
  const runner = client.chat.completions.runTools({ model: LLAMA, messages, tools: [tool] });
  assert.ok(await runner.finalContent());
  assert.equal(asked.length, 1);
  Weather.parse(asked[0]);
});

test("a streamed runner does the same", async () => {
  const tool = zodFunction({ name: "get_weather", parameters: Weather, function: () => "rain" });
  const runner = client.chat.completions.runTools({ model: LLAMA, messages, tools: [tool], stream: true });
  const calls = [];
  runner.on("functionToolCall", (call) => calls.push(call.name));
  assert.ok(await runner.finalContent());
  assert.deepEqual(calls, ["get_weather"]);
});

test("a structured answer satisfies the caller's schema", async () => {
  const format = zodResponseFormat(Weather, "weather");
  const answer = await client.chat.completions.parse({ model: LLAMA, messages, response_format: format });
  Weather.parse(answer.choices[0].message.parsed);
});

test("effort decides how much of an answer is reasoning", async () => {
  const answer = await client.chat.completions.create({ model: GPT_OSS, messages, reasoning_effort: "high" });
  assert.equal(answer.usage.completion_tokens, 60);
  assert.equal(answer.usage.completion_tokens_details.reasoning_tokens, 48);
});

test("files go up, are listed, come back and are deleted", async () => {
  const file = await client.files.create({
    file: await toFile(Buffer.from("one\n"), "notes.txt"),
    purpose: "user_data",
  });
  assert.equal(file.bytes, 4);
  const listed = [];
  for await (const each of client.files.list()) listed.push(each.id);
  assert.ok(listed.includes(file.id));
  assert.equal(await (await client.files.content(file.id)).text(), "one\n");
  assert.equal((await client.files.delete(file.id)).deleted, true);
  await assert.rejects(client.files.retrieve(file.id), OpenAI.NotFoundError);
});

test("a batch runs a file and gives its results", async () => {
  const line = { custom_id: "one", method: "POST", url: "/v1/chat/completions", body: { model: LLAMA, messages } };
  const file = await client.files.create({
    file: await toFile(Buffer.from(JSON.stringify(line)), "requests.jsonl"),
    purpose: "batch",
  });
  let batch = await client.batches.create({
    input_file_id: file.id,
    endpoint: "/v1/chat/completions",
    completion_window: "24h",
  });
  for (let tries = 0; tries < 200 && batch.status !== "completed"; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    batch = await client.batches.retrieve(batch.id);
  }
  assert.deepEqual(batch.request_counts, { total: 1, completed: 1, failed: 0 });
  const result = JSON.parse(await (await client.files.content(batch.output_file_id)).text());
  assert.equal(result.response.body.usage.completion_tokens, 24);
});

test("responses are chained, streamed, parsed and read again", async () => {
  const first = await client.responses.create({ model: LLAMA, input: "hello" });
  assert.equal(first.usage.output_tokens, 24);
  const second = await client.responses.create({
    model: LLAMA,
    input: "and then?",
    previous_response_id: first.id,
  });
  assert.ok(second.usage.input_tokens > first.usage.input_tokens + 24);
  assert.equal((await client.responses.retrieve(first.id)).output_text, first.output_text);
  const stream = client.responses.stream({ model: LLAMA, input: "hello" });
  const kinds = [];
  for await (const event of stream) kinds.push(event.type);
  assert.equal(kinds[0], "response.created");
  assert.equal(kinds.at(-1), "response.completed");
  assert.equal((await stream.finalResponse()).output_text, first.output_text);
  const parsed = await client.responses.parse({
    model: LLAMA,
    input: "hello",
    text: { format: zodTextFormat(Weather, "weather") },
  });
  Weather.parse(parsed.output_parsed);
});

test("models are found by ids with slashes", async () => {
  assert.equal((await client.models.retrieve(GPT_OSS)).id, GPT_OSS);
});

test("faults are the client's own exceptions", async () => {
  const stranger = new OpenAI({ apiKey: "sk-wrong" });
  await assert.rejects(stranger.chat.completions.create({ model: LLAMA, messages }), OpenAI.AuthenticationError);
  await assert.rejects(client.chat.completions.create({ model: "gpt-99", messages }), OpenAI.NotFoundError);
  await assert.rejects(client.chat.completions.create({ model: LLAMA, messages, temperature: 7 }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, "temperature");
    return true;
  });
});

test("a refused call waits as long as it is told and then succeeds", async () => {
  const began = performance.now();
  const ask = (options) => client.chat.completions.create({ model: LIMITED, messages, max_tokens: 1 }, options);
  const eager = Array.from({ length: 12 }, () => ask({ maxRetries: 0 }));
  const refused = (await Promise.allSettled(eager)).filter((result) => result.status === "rejected");
  assert.ok(refused.length >= 1);
  assert.ok(refused.every(({ reason }) => reason instanceof OpenAI.RateLimitError));
  assert.equal((await ask()).usage.completion_tokens, 1);
  assert.ok(performance.now() - began >= 100);
});

test("many ask at once, and one leaves its stream in the middle", async () => {
  const lengths = Array.from({ length: 10 }, (_, index) => index + 1);
  const answers = await Promise.all(
    lengths.map((max_tokens) => client.chat.completions.create({ model: LLAMA, messages, max_tokens })),
  );
  assert.deepEqual(answers.map((answer) => answer.usage.completion_tokens), lengths);
  const stream = await client.chat.completions.create({
    model: LLAMA,
    messages,
    stream: true,
    max_tokens: 20_000,
    ignore_eos: true,
  });
  for await (const _ of stream) break;
  assert.ok((await client.chat.completions.create({ model: LLAMA, messages })).choices.length);
});

// As the profile `openai-node` of traffic/retry_profiles.py has it.
for (const [after, least, most] of [
  ["61", 1000, 30_000], // more than a minute: its own back-off, half a second and one
  ["0", 0, 1000], // at once: its own back-off takes 1,125 ms and more
]) {
  test(`it sends three requests when told to wait ${after} s`, async () => {
    let seen = 0;
    const server = createServer((request, response) => {
      seen += 1;
      request.resume().on("end", () => response.writeHead(429, { "retry-after": after }).end("{}"));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const refused = new OpenAI({ baseURL: `http://127.0.0.1:${server.address().port}/v1` });
    const began = performance.now();
    await assert.rejects(refused.chat.completions.create({ model: LLAMA, messages }), OpenAI.RateLimitError);
    const took = performance.now() - began;
    server.closeAllConnections();
    server.close();
    assert.equal(seen, 3);
    assert.ok(least <= took && took < most, `${took} ms`);
  });
}
