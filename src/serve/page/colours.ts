/** Colours as the style sheet has them for the theme at hand. */

export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Told apart by all, in this order. */
export const ARMS = ['arm-1', 'arm-2', 'arm-3', 'arm-4', 'arm-5', 'arm-6'] as const;

const listeners = new Set<() => void>();

/** Drawings have their colours painted in: they are drawn again when the theme is another. Returns what ends it. */
export function onTheme(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function changed(): void {
  for (const listener of listeners) listener();
}

const KEY = 'crucible-theme';
type Theme = 'auto' | 'light' | 'dark';

export function theme(): Theme {
  const kept = localStorage.getItem(KEY);
  return kept === 'light' || kept === 'dark' ? kept : 'auto';
}

export function setTheme(next: Theme): void {
  if (next === 'auto') localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, next);
  applyTheme();
  changed();
}

export function applyTheme(): void {
  if (theme() === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme();
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', changed);
