import { NativeSelect } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { LANGUAGES, type Language, speak } from "../i18n";
import classes from "./Shell.module.css";

export function LanguageSwitch() {
  const { t, i18n } = useTranslation();
  return (
    <NativeSelect
      aria-label={t("language")}
      size="xs"
      className={classes.languages}
      value={i18n.language}
      onChange={(event) => speak(event.currentTarget.value as Language)}
      data={Object.entries(LANGUAGES).map(([value, label]) => ({ value, label }))}
    />
  );
}
