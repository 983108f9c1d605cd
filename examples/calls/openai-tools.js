// OpenAI, a tool: two calls of the model, of which the first ends with finishReason tool_calls. With a key: new OpenAI().
import OpenAI from 'openai';
import { url } from './service.js';

const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
const parameters = { type: 'object', properties: { city: { type: 'string' } } };
const messages = [{ role: 'user', content: 'What is the weather in Oslo?' }];
const ask = async () => {
  const { choices } = await openai.chat.completions.create({
    ...{ model: 'gpt-4', messages },
    tools: [{ type: 'function', function: { name: 'weather', parameters } }],
  });
  messages.push(choices[0].message);
  return choices[0].message;
};
const { tool_calls = [] } = await ask();
for (const { id } of tool_calls) messages.push({ role: 'tool', tool_call_id: id, content: 'rain' });
console.log((await ask()).content);
