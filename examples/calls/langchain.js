// LangChain.js: one event a call, whether its transport is seen or not. With a key: without configuration and apiKey.
import { ChatOpenAI } from '@langchain/openai';
import { CrucibleCallbackHandler } from 'crucible-telemetry/langchain';
import { url } from './service.js';

const model = new ChatOpenAI({ model: 'gpt-4', apiKey: 'none', configuration: { baseURL: `${url}/v1` } });
const { content } = await model.invoke('Say hello', { callbacks: [new CrucibleCallbackHandler()] });
console.log(content);
