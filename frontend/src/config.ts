import { queryOptions } from "@tanstack/react-query";

/** What the gateway tells the pages: GET /config.json. */
export type Config = {
  stripe_js: string;
  oidc_issuer: string;
  oidc_client_id: string;
  mode: "sandbox" | "production";
};

export const configQuery = queryOptions({
  queryKey: ["config"],
  staleTime: Number.POSITIVE_INFINITY,
  queryFn: async (): Promise<Config> => {
    const answer = await fetch("/config.json");
    if (!answer.ok) throw new Error(`/config.json: ${answer.status}`);
    return answer.json();
  },
});
