/** Packages that an application may bring, and need not. */
import { join } from 'node:path';

/** The application's main script; a thread is told which one that is. */
let script: string | undefined = process.argv[1];

export function findOptionalFrom(mainScript: string | undefined): void {
  script = mainScript;
}

/**
 * Loads a package as the application would: from its main script's folder, else the working one. No bundler sees that
 * anything is asked for, and so none insists on having it or complains.
 * @throws whatever Node throws when it is not there
 */
export function loadOptional(name: string): unknown {
  const { createRequire } = process.getBuiltinModule('node:module');
  const here = join(process.cwd(), 'index.js');
  try {
    return createRequire(script ?? here)(name);
  } catch {
    return createRequire(here)(name);
  }
}
