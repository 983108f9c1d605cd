/** The kernels' memory: one user at a time, and all of it given back. */

import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { AnalysisError } from '../../src/errors.js';
import { Kernels, kernelsOfThread } from '../../src/kernels/kernels.js';
import { Staging } from '../../src/kernels/staging.js';

it('lets users have it one after the other, and takes back what each took, however it ended', async () => {
  const kernels = new Kernels();
  const before = kernels.mark;
  const order: string[] = [];
  const use = (name: string, fails: boolean) =>
    kernels.exclusively(async () => {
      order.push(`${name} begins at ${kernels.mark === before ? 'the start' : 'a place further on'}`);
      kernels.allocate(1000);
      await setImmediate();
      order.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    });
  const uses = await Promise.allSettled([use('a', false), use('b', true), use('c', false)]);
  expect(uses.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(order).toEqual(['a', 'b', 'c'].flatMap((name) => [`${name} begins at the start`, `${name} ends`]));
  expect(kernels.mark).toBe(before);
});

it('has room that does not overlap, and says when there is none', () => {
  const kernels = new Kernels();
  const [first, second] = [kernels.allocate(10), kernels.allocate(10)];
  expect(second).toBeGreaterThanOrEqual(first + 10);
  expect(first % 64).toBe(0);
  expect(() => kernels.allocate(2 ** 31)).toThrow(AnalysisError);
  expect(kernels.allocate(10)).toBeGreaterThanOrEqual(second + 10);
});

it('is one for a thread', () => {
  expect(kernelsOfThread()).toBe(kernelsOfThread());
});

it('stages columns that are elsewhere, and leaves those that are there', () => {
  const kernels = new Kernels();
  const staging = new Staging(kernels);
  const column = Float64Array.from({ length: 3000 }, (_, i) => i);
  const address = staging.addressOf('a', column);
  expect(kernels.f64.subarray(address >> 3, (address >> 3) + 3000)).toEqual(column);
  expect(staging.addressOf('a', column)).toBe(address);
  expect(staging.addressOf('a', Float64Array.of(7))).toBe(address);
  expect(kernels.f64[address >> 3]).toBe(7);
  expect(staging.addressOf('a', column)).toBe(address);
  expect(kernels.f64[address >> 3]).toBe(0);
  const there = kernels.f64.subarray(address >> 3, (address >> 3) + 3);
  expect(staging.addressOf('b', there)).toBe(address);
});
