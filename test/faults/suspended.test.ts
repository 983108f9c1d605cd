/** A process that was suspended for so long that another has taken its place writes no more when it wakes. */
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Crucible } from '../../src/index.js';
import { LOCK_REFRESH_MS } from '../../src/storage/disk/lock.js';
import { processOneOf, spawnProcessOne } from '../support/process-one.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-suspended-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it.runIf(process.platform === 'linux')(
  'finds its lock taken, and acknowledges nothing more',
  { timeout: 120_000 },
  async () => {
    const script = new URL('./suspended-child.mjs', import.meta.url).pathname;
    const child = spawnProcessOne([script, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
    const said = child.stdout as Readable;
    await once(said, 'data');
    const pid = processOneOf(child);
    process.kill(pid, 'SIGSTOP');
    // Longer than it may go without looking at its lock; and for all that the lock says, longer than a minute.
    await sleep(LOCK_REFRESH_MS + 1000);
    const folder = join(dir, 'e');
    const lock = readdirSync(folder).find((name) => name.endsWith('.lock'));
    utimesSync(join(folder, lock!), Date.now() / 1000 - 61, Date.now() / 1000 - 61);

    await using crucible = new Crucible({ dir });
    const { experiments } = await crucible.recover();
    expect(experiments).toMatchObject([{ access: 'write', interrupted: true, damage: [] }]);
    const experiment = crucible.experiment('e');
    experiment.capture('e', { durationMs: 0 });
    await experiment.flush();

    process.kill(pid, 'SIGCONT');
    const [line] = await once(said, 'data');
    await once(child, 'close');
    const end = JSON.parse(String(line));
    expect(end).toMatchObject({ code: 'ERR_LOCKED', error: 'ERR_LOCKED' });
    await experiment.stop();

    await using reader = new Crucible();
    const found = await reader.recover(dir, { readOnly: true });
    expect(found.experiments).toMatchObject([{ damage: [], error: null }]);
    const latencies = (await reader.experiment('e').query()).map(({ latencyMs }) => latencyMs);
    const kept = latencies.filter((ms) => ms !== 0).sort((a, b) => a! - b!);
    expect(latencies.filter((ms) => ms === 0)).toHaveLength(1);
    expect(kept.length).toBeGreaterThanOrEqual(end.acknowledged);
    expect(kept).toEqual(kept.map((_, i) => i + 1));
  },
);
