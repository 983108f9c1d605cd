/** What `console.log` shows of an experiment and its kin: where it stands and what it has counted. */
import type { InspectOptions, inspect } from 'node:util';
import type { RefusedCounts } from './losses.js';

/** What Node hands over; its types have had several names for it. */
export interface StylizedOptions extends InspectOptions {
  stylize(text: string, styleType: string): string;
}

/** The method by this name is asked by Node, Deno and Bun. */
export const INSPECT: unique symbol = Symbol.for('nodejs.util.inspect.custom');

export type Inspect = typeof inspect;

/** @param fields - what is shown, those of objects in it too; what is undefined is not */
export function inspected(
  name: string,
  fields: Readonly<Record<string, unknown>>,
  depth: number,
  options: StylizedOptions,
  inspect: Inspect,
): string {
  if (depth < 0) return options.stylize(`[${name}]`, 'special');
  return `${name} ${inspect(known(fields), options)}`;
}

function known(fields: object): object {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    given.map(([key, value]) => [key, typeof value === 'object' && value !== null ? known(value) : value]),
  );
}

/** Reasons for which events were refused; undefined where none were. */
export function shownRefused({ total: _, ...reasons }: RefusedCounts): Record<string, number> | undefined {
  const given = Object.entries(reasons).filter(([, events]) => events > 0);
  return given.length === 0 ? undefined : Object.fromEntries(given);
}
