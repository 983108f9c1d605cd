/** Where the AI SDK finds its integrations, whichever copy of it a program has loaded. */
import type { ActiveRun } from '../capture/context.js';
import { Integration } from './ai-sdk.js';
import type { Content } from './content.js';

const INTEGRATIONS = 'AI_SDK_TELEMETRY_INTEGRATIONS';
/** Marks ours, whichever copy of this library has put it there. */
const OURS = Symbol.for('crucible-telemetry.ai-sdk');

/** @returns what takes it out again; it is put in once */
export function registerIntegration(run: ActiveRun | undefined, content: Content | null): () => void {
  const global = globalThis as { [INTEGRATIONS]?: object[] };
  global[INTEGRATIONS] ??= [];
  const integrations = global[INTEGRATIONS];
  if (integrations.some((known) => OURS in known)) return () => {};
  const ours = Object.assign(new Integration(run, content), { [OURS]: true });
  integrations.push(ours);
  return () => {
    const at = integrations.indexOf(ours);
    if (at >= 0) integrations.splice(at, 1);
  };
}
