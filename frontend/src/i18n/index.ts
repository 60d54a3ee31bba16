import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import { de } from "./de";
import { en } from "./en";

export const LANGUAGES = { en: "English", de: "Deutsch" } as const;
export type Language = keyof typeof LANGUAGES;

const KEPT = "language";

function chosen(): Language {
  const wanted = [localStorage.getItem(KEPT), ...navigator.languages].map((tag) => tag?.slice(0, 2));
  return (wanted.find((tag) => tag && tag in LANGUAGES) as Language | undefined) ?? "en";
}

i18next.use(initReactI18next).init({
  lng: chosen(),
  fallbackLng: "en",
  resources: { en: { translation: en }, de: { translation: de } },
  interpolation: { escapeValue: false }, // React escapes
});
document.documentElement.lang = i18next.language;

export function speak(language: Language): void {
  localStorage.setItem(KEPT, language);
  document.documentElement.lang = language;
  i18next.changeLanguage(language);
}

declare module "i18next" {
  interface CustomTypeOptions {
    resources: { translation: typeof en };
  }
}
