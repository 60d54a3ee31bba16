import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const gateway = process.env.GATEWAY ?? "http://localhost:8080";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2023",
    cssTarget: ["chrome123", "firefox120", "safari17.5"], // which know light-dark(); rewritten, it would not follow Mantine's scheme
    assetsInlineLimit: 0, // inlined files would need a wider policy
  },
  server: { proxy: { "/api": gateway, "/config.json": gateway } },
});
