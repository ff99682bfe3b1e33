// The Vercel AI SDK, with its own provider for OpenAI and with that for compatible servers.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, RetryError, generateObject, generateText, stepCountIs, streamObject, streamText, tool } from "ai";
import { z } from "zod";

const LLAMA = "8080/taalas/llama3.1-8b-instruct";
const GPT_OSS = "8080/llm_server/gpt-oss-20b";
const LIMITED = "8080/taalas/limited";
const Weather = z.object({ city: z.string(), sky: z.enum(["sun", "rain"]) });
const openai = createOpenAI();
const compatible = createOpenAICompatible({
  name: "e80sim",
  baseURL: process.env.OPENAI_BASE_URL,
  apiKey: process.env.OPENAI_API_KEY,
  includeUsage: true,
  supportsStructuredOutputs: true,
});

for (const [provider, model] of [
  ["openai", (id) => openai.chat(id)],
  ["openai responses", (id) => openai.responses(id)],
  ["openai-compatible", (id) => compatible(id)],
]) {
  test(`${provider}: a text costs the tokens of its prompt and of its answer`, async () => {
    const { text, usage, finishReason } = await generateText({ model: model(LLAMA), prompt: "hello" });
    assert.ok(text);
    assert.equal(usage.inputTokens, 11);
    assert.equal(usage.outputTokens, 24);
    assert.equal(finishReason, "stop");
  });

  test(`${provider}: a stream says what the answer in one piece says`, async () => {
    const whole = await generateText({ model: model(LLAMA), prompt: "hello" });
    const stream = streamText({ model: model(LLAMA), prompt: "hello" });
    let text = "";
    for await (const piece of stream.textStream) text += piece;
    assert.equal(text, whole.text);
    assert.equal((await stream.usage).outputTokens, 24);
  });

  test(`${provider}: a loop of tools calls, gets its result and ends in text`, async () => {
    const asked = [];
    const get_weather = tool({
      inputSchema: Weather,
      execute: async (input) => {
        asked.push(input);
        return "rain";
      },
    });
    const tools = { get_weather };
    const done = await generateText({ model: model(LLAMA), prompt: "hello", tools, stopWhen: stepCountIs(5) });
    assert.equal(done.steps.length, 2);
    assert.equal(asked.length, 1);
    Weather.parse(asked[0]);
    assert.ok(done.text);
    const stream = streamText({ model: model(LLAMA), prompt: "hello", tools, stopWhen: stepCountIs(5) });
    const kinds = [];
    for await (const part of stream.fullStream) kinds.push(part.type);
    assert.ok(kinds.indexOf("tool-call") < kinds.indexOf("tool-result"));
    assert.ok(kinds.indexOf("tool-result") < kinds.indexOf("text-delta"));
    assert.equal(kinds.at(-1), "finish");
  });

  test(`${provider}: an object satisfies the caller's schema, whole and streamed`, async () => {
    const asked = { model: model(LLAMA), prompt: "hello", schema: Weather };
    Weather.parse((await generateObject(asked)).object);
    const stream = streamObject(asked);
    for await (const _ of stream.partialObjectStream);
    Weather.parse(await stream.object);
  });

  test(`${provider}: a refused call is tried again, and faults tell their status`, async () => {
    const status = (code) => (error) => {
      assert.ok(APICallError.isInstance(error));
      assert.equal(error.statusCode, code);
      return true;
    };
    await assert.rejects(generateText({ model: model("gpt-99"), prompt: "hello" }), status(404));
    const ask = (maxRetries) => generateText({ model: model(LIMITED), prompt: "hello", maxRetries });
    const eager = await Promise.allSettled(Array.from({ length: 12 }, () => ask(0)));
    const refused = eager.filter((result) => result.status === "rejected");
    assert.ok(refused.length >= 1);
    assert.ok(refused.every(({ reason }) => reason.statusCode === 429 || RetryError.isInstance(reason)));
    assert.equal((await ask(2)).usage.outputTokens, 24);
  });
}

test("a wrong key is refused", async () => {
  const stranger = createOpenAI({ apiKey: "sk-wrong" });
  await assert.rejects(generateText({ model: stranger.chat(LLAMA), prompt: "hello" }), (error) => {
    assert.equal(error.statusCode, 401);
    return true;
  });
});

test("reasoning is told apart from the answer", async () => {
  const { text, reasoningText, usage } = await generateText({ model: compatible(GPT_OSS), prompt: "hello" });
  assert.ok(text);
  assert.ok(reasoningText);
  assert.equal(usage.outputTokenDetails.reasoningTokens, 12);
});
