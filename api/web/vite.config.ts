// The page is served at /playground and its assets below it. It loads nothing from elsewhere.
import { defineConfig } from 'vite';

export default defineConfig({
  base: '/playground/',
  build: {
    // The editor alone is larger than the usual limit, and this is the only page that loads it.
    chunkSizeWarningLimit: 8000,
    rolldownOptions: {
      onLog(level, log, handle) {
        // "use client" in GraphiQL's components is for servers that render React.
        if (log.code !== 'MODULE_LEVEL_DIRECTIVE') handle(level, log);
      },
    },
  },
});
