/** The package's version, as its package.json says. */
import { readFileSync } from 'node:fs';

/** package.json stands two folders above the sources' compiled form and one above the sources. */
function readVersion(): string {
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
      if (name === 'crucible-telemetry') return version as string;
    } catch {
      // Not here; the next place is tried.
    }
  }
  return 'unknown';
}

export const VERSION = readVersion();
