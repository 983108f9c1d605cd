// Ollama, known by its port; here, CRUCIBLE_HOSTS=127.0.0.1 says that a model is there. For real: new Ollama().
import { Ollama } from 'ollama';
import { url } from './service.js';

const ollama = new Ollama({ host: url });
const { message } = await ollama.chat({
  model: 'llama3',
  messages: [{ role: 'user', content: 'Say hello' }],
});
console.log(message.content);
