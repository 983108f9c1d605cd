// AI SDK, a tool: two calls of the model, and one of the tool. With a key: import { openai } from '@ai-sdk/openai'.
import { createOpenAI } from '@ai-sdk/openai';
import { generateText, stepCountIs, tool } from 'ai';
import { z } from 'zod';
import { url } from './service.js';

const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
const weather = tool({ inputSchema: z.object({ city: z.string() }), execute: async () => 'rain' });
const { text } = await generateText({
  model: openai.chat('gpt-4'),
  prompt: 'What is the weather in Oslo?',
  tools: { weather },
  stopWhen: stepCountIs(3),
});
console.log(text);
