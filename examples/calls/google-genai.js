// Google GenAI. With a key: new GoogleGenAI({ apiKey }).
import { GoogleGenAI } from '@google/genai';
import { url } from './service.js';

const google = new GoogleGenAI({ apiKey: 'none', httpOptions: { baseUrl: url } });
const { text } = await google.models.generateContent({
  model: 'gemini-2.0-flash-exp',
  contents: 'Say hello',
});
console.log(text);
