/** An experiment whose process was killed in the midst of capturing. Runs the built library: `npm run build` first. */
import { spawnSync } from 'node:child_process';

/** @returns the experiment's id. All `rows` are durable, but for those that found 4,096 others waiting for
 *   the disk; the segment that they are in has not been ended. */
export function killedExperiment(
  dir: string,
  options: { rows: number; name?: string; condition?: string; pause?: boolean },
): string {
  const { rows, name = 'killed', condition = 'default', pause = false } = options;
  const program = `
    import { Crucible, listExperiments } from 'crucible-telemetry';
    const crucible = new Crucible({ dir: ${JSON.stringify(dir)} });
    const options = { name: ${JSON.stringify(name)}, condition: ${JSON.stringify(condition)} };
    const experiment = crucible.startExperiment({ ...options, overflow: 'reject', capacity: 4096 });
    const recorder = experiment.recorder('e', { model: 'm' });
    const record = (i) => recorder.record(i, 0.5, 10, 20, i % 2 === 0);
    for (let i = 1; i < ${rows}; i++) record(i);
    // A batch tells of all drops before it.
    await experiment.flush();
    record(${rows});
    if (${pause}) {
      experiment.pause();
      const status = async () => (await listExperiments(${JSON.stringify(dir)}))[0].experiment.status;
      while ((await status()) !== 'paused') await new Promise(setImmediate);
    }
    await experiment.flush();
    process.stdout.write(experiment.id, () => process.kill(process.pid, 'SIGKILL'));`;
  const { signal, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
  });
  if (signal !== 'SIGKILL') throw new Error(`it ended by itself: ${stderr}`);
  return stdout;
}
