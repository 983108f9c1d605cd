/** The package as it is published: packed, unpacked elsewhere, and imported from there by name. Run `npm run build` first. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

export type Library = typeof import('../../src/index.js');

export interface Installed {
  readonly folder: string;
  /** Its command line. */
  readonly bin: string;
  readonly library: Library;
  remove(): void;
}

export async function installed(): Promise<Installed> {
  const folder = mkdtempSync(join(tmpdir(), 'crucible-acceptance-'));
  const options = { cwd: process.cwd(), encoding: 'utf8' } as const;
  const packed = execFileSync(
    'npm',
    ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder],
    options,
  ).trim();
  const modules = join(folder, 'node_modules');
  const target = join(modules, 'crucible-telemetry');
  mkdirSync(target, { recursive: true });
  execFileSync('tar', ['-xzf', join(folder, packed), '-C', target, '--strip-components=1']);
  // What it depends on is what this project has installed.
  symlinkSync(resolve('node_modules'), join(target, 'node_modules'));
  const require = createRequire(join(folder, 'program.js'));
  const library = (await import(pathToFileURL(require.resolve('crucible-telemetry')).href)) as Library;
  return {
    folder,
    bin: join(target, 'dist', 'src', 'cli', 'main.js'),
    library,
    remove: () => rmSync(folder, { recursive: true }),
  };
}
