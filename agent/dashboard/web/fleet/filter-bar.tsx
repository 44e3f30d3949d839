import { useEffect, useRef } from 'preact/hooks';
import { filterFields } from './filter.ts';

interface FilterBarProps {
  readonly filter: string;
  readonly grouped: boolean;
  readonly count: string;
  readonly onFilter: (filter: string) => void;
  /** Whether what stands there may be half typed. */
  readonly onTyping: (typing: boolean) => void;
  readonly onGroup: (grouped: boolean) => void;
}

/** Whether a key belongs to what has the focus. */
function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches('input, textarea, select, dialog *');
}

/** `/` goes to the filter from anywhere on the page. */
function useSlash(focus: () => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== '/' || event.ctrlKey || event.metaKey || isTyping(event.target)) return;
      event.preventDefault();
      focus();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
}

export function FilterBar({ filter, grouped, count, onFilter, onTyping, onGroup }: FilterBarProps) {
  const input = useRef<HTMLInputElement>(null);
  useSlash(() => input.current?.focus());
  return (
    <div class="filter-bar" role="search">
      <label class="filter-label">
        <span class="hidden">Filter</span>
        <input
          ref={input}
          type="search"
          value={filter}
          placeholder="Filter: words, or class=rpi-5 tag=site-a p90>20"
          aria-describedby="filter-help"
          spellcheck={false}
          onInput={(event) => {
            onTyping(true);
            onFilter(event.currentTarget.value);
          }}
          onBlur={() => onTyping(false)}
          onKeyDown={(event) => {
            if (event.key === 'Enter') onTyping(false);
            if (event.key !== 'Escape') return;
            onFilter('');
            event.currentTarget.blur();
          }}
        />
        <kbd aria-hidden="true">/</kbd>
      </label>
      <span id="filter-help" class="hidden">
        Words, or conditions on {filterFields.join(', ')}, such as class=rpi-5
      </span>
      <label class="check">
        <input
          type="checkbox"
          checked={grouped}
          onChange={(event) => onGroup(event.currentTarget.checked)}
        />
        Group by class
      </label>
      <output class="count" aria-live="polite">
        {count}
      </output>
    </div>
  );
}
