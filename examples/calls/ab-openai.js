// Which of two prompts costs less, with the SDK of OpenAI. With a key: new OpenAI().
import { Crucible, instrument } from 'crucible-telemetry';
import OpenAI from 'openai';
import { url } from './service.js';

const prompts = { long: 'Please be so kind as to tell me in a few words what this is:', short: 'What is' };
const ask = (content) =>
  openai.chat.completions.create({ model: 'gpt-4', messages: [{ role: 'user', content }] });

const crucible = new Crucible();
instrument(crucible); // before the client is made
const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
const arms = Object.keys(prompts).map((name) => crucible.startExperiment({ name }));
for (let i = 0; i < 30; i++)
  for (const arm of arms) await arm.run(() => ask(`${prompts[arm.name]} ${'number '.repeat(i % 5)}${i}`));
const result = await crucible.compare(arms, { metrics: ['costMean'], event: 'req_llm.request.stop' });
console.log(result.treatments[0].verdict);
await crucible.close();
