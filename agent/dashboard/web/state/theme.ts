import { createStore } from './store.ts';

export const themes = ['system', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];

const KEY = 'edgefit.theme';

/** Storage may be switched off: then the choice lasts as long as the page. */
function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return themes.find((theme) => theme === value) ?? 'system';
  } catch {
    return 'system';
  }
}

export const theme = createStore<Theme>('system');

function show(value: Theme): void {
  const { dataset } = document.documentElement;
  if (value === 'system') delete dataset['theme'];
  else dataset['theme'] = value;
}

/** Takes up the remembered choice. Called before the first drawing. */
export function startTheme(): void {
  theme.set(stored());
  show(theme.get());
}

export function chooseTheme(value: Theme): void {
  theme.set(value);
  show(value);
  try {
    localStorage.setItem(KEY, value);
  } catch {
    // It is not remembered; see `stored`.
  }
}
