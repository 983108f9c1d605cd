import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it, vi } from 'vitest';
import { residentBytes, watchPeak } from '../../bench/resident.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const SPIKE_BYTES = 256 * 2 ** 20;
/** Of what else the process does meanwhile. */
const SLACK_BYTES = 64 * 2 ** 20;

/** Takes memory, and resolves when the system has it again. */
async function spike(whileHeld: () => Promise<void>): Promise<void> {
  const before = residentBytes();
  let held: Buffer | null = Buffer.alloc(SPIKE_BYTES, 1);
  await whileHeld();
  expect(held.length).toBe(SPIKE_BYTES);
  held = null;
  await vi.waitUntil(
    () => {
      collect();
      return residentBytes() < before + SLACK_BYTES;
    },
    { timeout: 20_000 },
  );
}

describe('watchPeak', () => {
  it('sees memory that is gone when it ends', async () => {
    const before = residentBytes();
    const peak = watchPeak();
    await spike(async () => void (await sleep(100)));
    expect(residentBytes()).toBeLessThan(before + SLACK_BYTES);
    expect(peak()).toBeGreaterThan(before + SPIKE_BYTES - SLACK_BYTES);
  });

  it.runIf(process.platform === 'linux')('sees what comes and goes between two samples', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const before = residentBytes();
    const peak = watchPeak();
    vi.useRealTimers();
    await spike(async () => {});
    expect(peak()).toBeGreaterThan(before + SPIKE_BYTES - SLACK_BYTES);
  });

  it('does not count what was before it began', async () => {
    await spike(async () => {});
    const before = residentBytes();
    const peak = watchPeak();
    await sleep(50);
    expect(peak()).toBeLessThan(before + SPIKE_BYTES - SLACK_BYTES);
  });
});
