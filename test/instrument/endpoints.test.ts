import { describe, expect, it } from 'vitest';
import { Endpoints } from '../../src/instrument/endpoints.js';

const endpoints = new Endpoints(['llm.internal', 'gateway.example:8443']);

describe('a model is called at', () => {
  it.each([
    ['https://api.openai.com/v1/chat/completions', 'openai', 'chat', null],
    ['https://api.openai.com/v1/responses', 'openai', 'chat', null],
    ['https://eu.api.openai.com/v1/embeddings', 'openai', 'embeddings', null],
    [
      'https://me.openai.azure.com/openai/deployments/prod/chat/completions?api-version=1',
      'azure',
      'chat',
      null,
    ],
    [
      'https://me.openai.azure.com/openai/deployments/prod/embeddings?api-version=1',
      'azure',
      'embeddings',
      null,
    ],
    ['https://me.openai.azure.com/openai/v1/responses', 'azure', 'chat', null],
    ['https://api.anthropic.com/v1/messages?beta=true', 'anthropic', 'chat', null],
    [
      'https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse',
      'google',
      'generate_content',
      'gemini-2.5-pro',
    ],
    [
      'https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/anthropic/models/claude-x@2:streamRawPredict',
      'google',
      'chat',
      'claude-x@2',
    ],
    [
      'https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-v2%3A1/converse-stream',
      'bedrock',
      'chat',
      'anthropic.claude-v2:1',
    ],
    ['https://openrouter.ai/api/v1/chat/completions', 'openrouter', 'chat', null],
    ['https://api.mistral.ai/v1/fim/completions', 'mistral', 'text_completion', null],
    ['http://localhost:11434/api/chat', 'ollama', 'chat', null],
    ['https://llm.internal/api/generate', 'llm.internal', 'text_completion', null],
    ['https://gateway.example:8443/anthropic/v1/messages', 'anthropic', 'chat', null],
    // Nobody's host, with a path that only such servers have.
    ['http://10.0.0.7:8000/v1/chat/completions', 'openai', 'chat', null],
  ])('%s', (url, provider, operation, model) => {
    expect(endpoints.of(url)).toMatchObject({ provider, operation, model });
  });
});

describe('no model is called at', () => {
  it.each([
    'https://example.com/api/chat',
    'https://example.com/messages',
    'https://api.openai.com/v1/files',
    'https://api.openai.com.evil.example/v1/files',
    'https://gateway.example/api/generate',
    'data:text/plain,/v1/chat/completions',
    '/v1/chat/completions',
    'not a url',
  ])('%s', (url) => {
    expect(endpoints.of(url)).toBe(null);
  });
});
