/**
 * What the documentation's fragments take from what is said around them. A block of JavaScript that imports
 * `crucible-telemetry` is a program and compiles as it stands; any other is a fragment, and compiles among these names,
 * and no others. Needs the package installed, so that it is compiled by types.test.ts only.
 */
import type { ServerResponse } from 'node:http';
import type { pipeline as streamPipeline } from 'node:stream/promises';
import type * as library from 'crucible-telemetry';

declare global {
  const Crucible: typeof library.Crucible;
  const ImportSource: typeof library.ImportSource;
  const telemetry: typeof library.telemetry;
  const pipeline: typeof streamPipeline;

  const crucible: library.Crucible;
  const experiment: library.Experiment;
  const control: library.Experiment;
  const treatment: library.Experiment;

  const userId: string;
  const request: { readonly question: string };
  function answer(request: { readonly question: string }): Promise<string>;

  /** Of an event. */
  const timestampUs: number;
  const latencyMs: number;
  const duration: number;
  const costUsd: number;
  const promptTokens: number;
  const completionTokens: number;
  const success: boolean;
  const model: string;
  const provider: string;
  const tokens: { prompt: number; completion: number };

  /** What an application has: calls of its own, a question, and the response that it streams to. */
  const query: string;
  function search(query: string): Promise<string[]>;
  const question: string;
  function chat(question: string): AsyncIterable<string>;
  const response: ServerResponse;

  /** Arguments and options. */
  const name: string;
  const path: string;
  const map: NonNullable<library.ImportOptions['map']>;
  const fromUs: number;
  const toUs: number;
  const options: library.CompareOptions;
}
