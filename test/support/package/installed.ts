/** The package as `npm pack` makes it of the built files, unpacked where an application would have it. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

export const run = promisify(execFile);

/** The name of the package itself. */
export const NAME = 'crucible-telemetry';

/**
 * A new folder with a package.json of its own, and in its node_modules the package and what it depends on: no more,
 * so that nothing else is found.
 */
export async function applicationFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'crucible-application-'));
  const target = join(folder, 'node_modules', NAME);
  await mkdir(target, { recursive: true });
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]);
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  await run('tar', ['-xzf', join(folder, filename), '-C', target, '--strip-components', '1']);
  const { dependencies } = JSON.parse(await readFile(join(target, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  for (const name of Object.keys(dependencies)) await link(name, folder);
  await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  return folder;
}

/** Gives the application a package that is installed here. */
export async function link(name: string, folder: string): Promise<void> {
  const path = join(folder, 'node_modules', name);
  await mkdir(dirname(path), { recursive: true });
  await symlink(resolve('node_modules', name), path);
}
