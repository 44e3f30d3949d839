import { chooseTheme, theme, themes, type Theme } from '../state/theme.ts';
import { useStore } from '../state/store.ts';

const NAMES: Readonly<Record<Theme, string>> = {
  system: 'System',
  light: 'Light',
  dark: 'Dark',
};

export function ThemeSwitch() {
  const current = useStore(theme);
  return (
    <select
      class="theme"
      aria-label="Colours"
      value={current}
      onChange={(event) => {
        const chosen = themes.find((each) => each === event.currentTarget.value);
        if (chosen !== undefined) chooseTheme(chosen);
      }}
    >
      {themes.map((each) => (
        <option key={each} value={each}>
          {NAMES[each]}
        </option>
      ))}
    </select>
  );
}
