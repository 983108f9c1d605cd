/** Processes that are number 1 of a container of their own, to which the kernel's exception for process 1 applies. */
import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

const asRoot = ['-p', '-f', '--mount-proc', '--kill-child'];
const asOther = ['-r', ...asRoot];

/**
 * Starts Node as process 1 of a new pid namespace.
 * @throws Error where that cannot be done: the test must not pass then as if it had been
 */
export function spawnProcessOne(argv: readonly string[], options: SpawnOptions): ChildProcess {
  return spawn('unshare', [...unshareOptions(), process.execPath, ...argv], options);
}

function unshareOptions(): string[] {
  const options = process.getuid?.() === 0 ? asRoot : asOther;
  try {
    execFileSync('unshare', [...options, 'true'], { stdio: 'pipe' });
  } catch (cause) {
    throw new Error(
      'This test needs a pid namespace, and unshare(1) gives none here: run it as root, or allow user namespaces.',
      { cause },
    );
  }
  return options;
}

/** The number, as this process sees it, of the process 1 that `child` has started. */
export function processOneOf(child: ChildProcess): number {
  const { pid } = child;
  const [first] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  // 0 would be everybody in this process's group.
  if (first === undefined || first === '') throw new Error(`process ${pid} has started none`);
  return Number(first);
}
