// Which of two prompts costs less, with the AI SDK. With a key: import { openai } from '@ai-sdk/openai'.
import { createOpenAI } from '@ai-sdk/openai';
import { generateText } from 'ai';
import { Crucible, instrument } from 'crucible-telemetry';
import { url } from './service.js';

const prompts = { long: 'Please be so kind as to tell me in a few words what this is:', short: 'What is' };
const ask = (prompt) => generateText({ model: openai.chat('gpt-4'), prompt });

const crucible = new Crucible();
instrument(crucible);
const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
const arms = Object.keys(prompts).map((name) => crucible.startExperiment({ name }));
for (let i = 0; i < 30; i++)
  for (const arm of arms) await arm.run(() => ask(`${prompts[arm.name]} ${'number '.repeat(i % 5)}${i}`));
const result = await crucible.compare(arms, { metrics: ['costMean'], event: 'req_llm.request.stop' });
console.log(result.treatments[0].verdict);
await crucible.close();
