// The administrator's token. It is kept for this tab of the browser only, and never in an address.
import { useState, type FormEvent } from 'react';

const KEY = 'millrace.token';

export function storedToken(): string {
  return sessionStorage.getItem(KEY) ?? '';
}

export function TokenForm({ token, onChange }: { token: string; onChange: (token: string) => void }) {
  const [draft, setDraft] = useState(token);

  function use(event: FormEvent) {
    event.preventDefault();
    const chosen = draft.trim();
    if (chosen === '') sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, chosen);
    onChange(chosen);
  }

  return (
    <form className="token" onSubmit={use}>
      <label htmlFor="token">Admin token</label>
      <input
        id="token"
        type="password"
        autoComplete="off"
        spellCheck={false}
        placeholder="not needed on loopback"
        value={draft}
        onChange={(event) => setDraft(event.target.value)}
      />
      <button type="submit" disabled={draft.trim() === token}>
        Use
      </button>
    </form>
  );
}
