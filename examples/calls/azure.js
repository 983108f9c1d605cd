// Azure: the deployment says nothing of the model; the answer does. With a key: new AzureOpenAI({ apiVersion: '2024-10-21' }).
import { AzureOpenAI } from 'openai';
import { url } from './service.js';

const baseURL = `${url}/openai/deployments/prod`;
const azure = new AzureOpenAI({ apiVersion: '2024-10-21', baseURL, apiKey: 'none' });
const { choices } = await azure.chat.completions.create({
  model: 'prod',
  messages: [{ role: 'user', content: 'Say hello' }],
});
console.log(choices[0].message.content);
