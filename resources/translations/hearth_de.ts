<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de" sourcelanguage="en">
<context>
    <name>Actions</name>
    <message>
        <source>Chats</source>
        <translation>Chats</translation>
    </message>
    <message>
        <source>This chat</source>
        <translation>Dieser Chat</translation>
    </message>
    <message>
        <source>Model</source>
        <translation>Modell</translation>
    </message>
    <message>
        <source>Window</source>
        <translation>Fenster</translation>
    </message>
    <message>
        <source>New chat</source>
        <translation>Neuer Chat</translation>
    </message>
    <message>
        <source>Search all chats</source>
        <translation>Alle Chats durchsuchen</translation>
    </message>
    <message>
        <source>Rename this chat</source>
        <translation>Diesen Chat umbenennen</translation>
    </message>
    <message>
        <source>Pin this chat</source>
        <translation>Diesen Chat anheften</translation>
    </message>
    <message>
        <source>Export this chat…</source>
        <translation>Diesen Chat exportieren …</translation>
    </message>
    <message>
        <source>Print this chat…</source>
        <translation>Diesen Chat drucken …</translation>
    </message>
    <message>
        <source>Export all chats…</source>
        <translation>Alle Chats exportieren …</translation>
    </message>
    <message>
        <source>Import chats…</source>
        <translation>Chats importieren …</translation>
    </message>
    <message>
        <source>Move this chat to the trash</source>
        <translation>Diesen Chat in den Papierkorb legen</translation>
    </message>
    <message>
        <source>Show the trash</source>
        <translation>Papierkorb anzeigen</translation>
    </message>
    <message>
        <source>Find in this chat</source>
        <translation>In diesem Chat suchen</translation>
    </message>
    <message>
        <source>Stop the reply</source>
        <translation>Antwort anhalten</translation>
    </message>
    <message>
        <source>Write the last reply again</source>
        <translation>Letzte Antwort neu schreiben</translation>
    </message>
    <message>
        <source>Go on with the last reply</source>
        <translation>Letzte Antwort fortsetzen</translation>
    </message>
    <message>
        <source>Attach text or code</source>
        <translation>Text oder Code anhängen</translation>
    </message>
    <message>
        <source>Change the last prompt</source>
        <translation>Letzte Nachricht ändern</translation>
    </message>
    <message>
        <source>Show the version before</source>
        <translation>Vorige Fassung anzeigen</translation>
    </message>
    <message>
        <source>Show the next version</source>
        <translation>Nächste Fassung anzeigen</translation>
    </message>
    <message>
        <source>Go to the end</source>
        <translation>Zum Ende</translation>
    </message>
    <message>
        <source>Settings of this chat</source>
        <translation>Einstellungen dieses Chats</translation>
    </message>
    <message>
        <source>Choose a model</source>
        <translation>Modell wählen</translation>
    </message>
    <message>
        <source>Unload the model</source>
        <translation>Modell entladen</translation>
    </message>
    <message>
        <source>Start the engine again</source>
        <translation>Engine neu starten</translation>
    </message>
    <message>
        <source>Show or hide the chats</source>
        <translation>Chats ein- oder ausblenden</translation>
    </message>
    <message>
        <source>Do anything by its name</source>
        <translation>Alles über den Namen erreichen</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>Einstellungen</translation>
    </message>
    <message>
        <source>Larger text</source>
        <translation>Größere Schrift</translation>
    </message>
    <message>
        <source>Smaller text</source>
        <translation>Kleinere Schrift</translation>
    </message>
    <message>
        <source>Normal text size</source>
        <translation>Normale Schriftgröße</translation>
    </message>
    <message>
        <source>Shortcuts</source>
        <translation>Tastenkürzel</translation>
    </message>
    <message>
        <source>Quit Hearth</source>
        <translation>Hearth beenden</translation>
    </message>
</context>
<context>
    <name>Announcer</name>
    <message>
        <source>The reply failed</source>
        <translation>Die Antwort ist fehlgeschlagen</translation>
    </message>
    <message>
        <source>The reply is finished</source>
        <translation>Die Antwort ist fertig</translation>
    </message>
</context>
<context>
    <name>Attached</name>
    <message>
        <source>{name} is a folder. Attach the files in it that matter.</source>
        <translation>{name} ist ein Ordner. Hängen Sie die Dateien daraus an, auf die es ankommt.</translation>
    </message>
    <message>
        <source>{name} is no file.</source>
        <translation>{name} ist keine Datei.</translation>
    </message>
    <message>
        <source>{name} cannot be read: {why}. Check that it is still there and that you may read it.</source>
        <translation>{name} kann nicht gelesen werden: {why}. Prüfen Sie, ob sie noch da ist und ob Sie sie lesen dürfen.</translation>
    </message>
    <message>
        <source>{name} has {size}; text of up to {largest} can be attached, which is more than models read at once. Attach the part that matters.</source>
        <translation>{name} hat {size}; angehängt werden kann Text bis {largest}, das ist mehr, als Modelle auf einmal lesen. Hängen Sie den Teil an, auf den es ankommt.</translation>
    </message>
    <message>
        <source>{name} is not text in UTF-8 (byte {place} is none). Pictures, PDFs and programs cannot be attached; save a text as UTF-8 and attach it again.</source>
        <translation>{name} ist kein Text in UTF-8 (Byte {place} ist keiner). Bilder, PDFs und Programme können nicht angehängt werden; speichern Sie einen Text als UTF-8 und hängen Sie ihn erneut an.</translation>
    </message>
    <message>
        <source>{name} is not text: it holds zero bytes.</source>
        <translation>{name} ist kein Text: die Datei enthält Nullbytes.</translation>
    </message>
    <message>
        <source>{name} is empty.</source>
        <translation>{name} ist leer.</translation>
    </message>
</context>
<context>
    <name>AttachmentHead</name>
    <message>
        <source>Attached file {name}, {size} (expanded)</source>
        <translation>Angehängte Datei {name}, {size} (aufgeklappt)</translation>
    </message>
    <message>
        <source>Hide what is in the file</source>
        <translation>Inhalt der Datei verbergen</translation>
    </message>
    <message>
        <source>Attached file {name}, {size} (collapsed)</source>
        <translation>Angehängte Datei {name}, {size} (zugeklappt)</translation>
    </message>
    <message>
        <source>Show what is in the file</source>
        <translation>Inhalt der Datei zeigen</translation>
    </message>
</context>
<context>
    <name>Availability</name>
    <message>
        <source>the demo model</source>
        <translation>das Demomodell</translation>
    </message>
    <message>
        <source>Unpin this chat</source>
        <translation>Diesen Chat nicht mehr anheften</translation>
    </message>
    <message>
        <source>Sent when this reply is done</source>
        <translation>Wird nach dieser Antwort gesendet</translation>
    </message>
    <message>
        <source>Sent when another chat&apos;s reply is done</source>
        <translation>Wird nach der Antwort in einem anderen Chat gesendet</translation>
    </message>
    <message>
        <source>Sent when the model is ready</source>
        <translation>Wird gesendet, sobald das Modell bereit ist</translation>
    </message>
    <message>
        <source>The engine has stopped</source>
        <translation>Die Engine läuft nicht mehr</translation>
    </message>
    <message>
        <source>The engine is starting</source>
        <translation>Die Engine startet</translation>
    </message>
    <message>
        <source>The engine does not answer</source>
        <translation>Die Engine antwortet nicht</translation>
    </message>
    <message>
        <source>A reply is running: the prompt can be changed when it is done</source>
        <translation>Es läuft eine Antwort: Danach lässt sich die Nachricht ändern</translation>
    </message>
    <message>
        <source>Waits until the database of your chats is free; Esc stops waiting</source>
        <translation>Wartet, bis die Datenbank der Chats frei ist; Esc bricht das Warten ab</translation>
    </message>
    <message>
        <source>Choose a model first (Ctrl+M)</source>
        <translation>Zuerst ein Modell wählen (Strg+M)</translation>
    </message>
</context>
<context>
    <name>Banner</name>
    <message>
        <source>Dismiss</source>
        <translation>Schließen</translation>
    </message>
    <message numerus="yes">
        <source>%n more</source>
        <translation>
            <numerusform>%n weitere</numerusform>
            <numerusform>%n weitere</numerusform>
        </translation>
    </message>
    <message>
        <source>Undo</source>
        <translation>Rückgängig</translation>
    </message>
</context>
<context>
    <name>Blocks</name>
    <message>
        <source>Stopped</source>
        <translation>Angehalten</translation>
    </message>
    <message>
        <source>Ended at the length limit</source>
        <translation>Endet an der Längengrenze</translation>
    </message>
    <message>
        <source>The context is full</source>
        <translation>Der Kontext ist voll</translation>
    </message>
</context>
<context>
    <name>ChatDrawer</name>
    <message>
        <source>Settings of this chat</source>
        <translation>Einstellungen dieses Chats</translation>
    </message>
    <message>
        <source>Preset</source>
        <translation>Vorlage</translation>
    </message>
    <message>
        <source>Save as a preset</source>
        <translation>Als Vorlage speichern</translation>
    </message>
    <message>
        <source>Reset</source>
        <translation>Zurücksetzen</translation>
    </message>
    <message>
        <source>Nothing is set for this chat alone any more</source>
        <translation>Für diesen Chat allein ist dann nichts mehr eingestellt</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <source>Close (Esc)</source>
        <translation>Schließen (Esc)</translation>
    </message>
    <message>
        <source>This chat</source>
        <translation>Dieser Chat</translation>
    </message>
    <message>
        <source>None</source>
        <translation>Keine</translation>
    </message>
    <message>
        <source>New preset</source>
        <translation>Neue Vorlage</translation>
    </message>
</context>
<context>
    <name>ChatFiles</name>
    <message>
        <source>Import chats</source>
        <translation>Chats importieren</translation>
    </message>
    <message>
        <source>Chats (*.json *.jsonl);;All files (*)</source>
        <translation>Chats (*.json *.jsonl);;Alle Dateien (*)</translation>
    </message>
    <message>
        <source>Markdown (*.md);;JSON, whole (*.json);;Page for a browser (*.html);;PDF (*.pdf)</source>
        <translation>Markdown (*.md);;JSON, vollständig (*.json);;Seite für den Browser (*.html);;PDF (*.pdf)</translation>
    </message>
    <message numerus="yes">
        <source>Export %n chats</source>
        <translation>
            <numerusform>Diesen Chat exportieren</numerusform>
            <numerusform>%n Chats exportieren</numerusform>
        </translation>
    </message>
    <message>
        <source>“{title}”</source>
        <translation>„{title}“</translation>
    </message>
    <message numerus="yes">
        <source>%n chats</source>
        <translation>
            <numerusform>%n Chat</numerusform>
            <numerusform>%n Chats</numerusform>
        </translation>
    </message>
    <message>
        <source>The file could not be written</source>
        <translation>Die Datei konnte nicht geschrieben werden</translation>
    </message>
    <message>
        <source>{path}: {strerror}. Choose another folder, or free some space.</source>
        <translation>{path}: {strerror}. Wählen Sie einen anderen Ordner, oder schaffen Sie Platz.</translation>
    </message>
    <message>
        <source>Exported {what} to {name}</source>
        <translation>{what} nach {name} exportiert</translation>
    </message>
    <message>
        <source>These chats could not be imported</source>
        <translation>Diese Chats konnten nicht importiert werden</translation>
    </message>
    <message>
        <source>{begin} of {chats} chats of {name} were imported.</source>
        <translation>{begin} von {chats} Chats aus {name} wurden importiert.</translation>
    </message>
    <message numerus="yes">
        <source>Imported %n chats from {name}</source>
        <translation>
            <numerusform>%n Chat aus {name} importiert</numerusform>
            <numerusform>%n Chats aus {name} importiert</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>ChatList</name>
    <message>
        <source>Pinned</source>
        <translation>Angeheftet</translation>
    </message>
    <message>
        <source>Today</source>
        <translation>Heute</translation>
    </message>
    <message>
        <source>Yesterday</source>
        <translation>Gestern</translation>
    </message>
    <message>
        <source>Last 7 days</source>
        <translation>Letzte 7 Tage</translation>
    </message>
    <message>
        <source>Last 30 days</source>
        <translation>Letzte 30 Tage</translation>
    </message>
    <message>
        <source>Older</source>
        <translation>Älter</translation>
    </message>
    <message>
        <source>Chats</source>
        <translation>Chats</translation>
    </message>
    <message>
        <source>Unpin this chat</source>
        <translation>Diesen Chat nicht mehr anheften</translation>
    </message>
    <message numerus="yes">
        <source>Export %n chats…</source>
        <translation>
            <numerusform>Diesen Chat exportieren …</numerusform>
            <numerusform>%n Chats exportieren …</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>Move %n chats to the trash</source>
        <translation>
            <numerusform>Diesen Chat in den Papierkorb legen</numerusform>
            <numerusform>%n Chats in den Papierkorb legen</numerusform>
        </translation>
    </message>
    <message>
        <source>Move to a folder</source>
        <translation>In einen Ordner verschieben</translation>
    </message>
    <message>
        <source>Out of the folder</source>
        <translation>Aus dem Ordner heraus</translation>
    </message>
    <message>
        <source>New folder…</source>
        <translation>Neuer Ordner …</translation>
    </message>
    <message>
        <source>Name of this chat</source>
        <translation>Name dieses Chats</translation>
    </message>
</context>
<context>
    <name>Chats</name>
    <message>
        <source>New chat</source>
        <translation>Neuer Chat</translation>
    </message>
    <message>
        <source>Moved “{title}” to the trash</source>
        <translation>„{title}“ liegt im Papierkorb</translation>
    </message>
    <message numerus="yes">
        <source>Moved %n chats to the trash</source>
        <translation>
            <numerusform>%n Chat liegt im Papierkorb</numerusform>
            <numerusform>%n Chats liegen im Papierkorb</numerusform>
        </translation>
    </message>
    <message>
        <source>Undo</source>
        <translation>Rückgängig</translation>
    </message>
</context>
<context>
    <name>CodeBlock</name>
    <message>
        <source>Wrap lines</source>
        <translation>Zeilen umbrechen</translation>
    </message>
    <message>
        <source>Copy the code</source>
        <translation>Code kopieren</translation>
    </message>
    <message>
        <source>Copy</source>
        <translation>Kopieren</translation>
    </message>
    <message>
        <source>Code, {language}</source>
        <translation>Code, {language}</translation>
    </message>
</context>
<context>
    <name>Composer</name>
    <message>
        <source>Enter begins a new line, Shift+Enter sends</source>
        <translation>Enter beginnt eine neue Zeile, Umschalt+Enter sendet</translation>
    </message>
    <message>
        <source>Enter sends, Shift+Enter begins a new line</source>
        <translation>Enter sendet, Umschalt+Enter beginnt eine neue Zeile</translation>
    </message>
    <message>
        <source>Esc stops the reply</source>
        <translation>Esc hält die Antwort an</translation>
    </message>
    <message>
        <source>Long texts are sent whole; Backspace takes one out again</source>
        <translation>Lange Texte werden ganz gesendet; die Rücktaste nimmt einen wieder heraus</translation>
    </message>
    <message>
        <source>Prompt</source>
        <translation>Nachricht</translation>
    </message>
    <message>
        <source>Attach text or code</source>
        <translation>Text oder Code anhängen</translation>
    </message>
    <message>
        <source>Attach text or code (Ctrl+Shift+A)</source>
        <translation>Text oder Code anhängen (Strg+Umschalt+A)</translation>
    </message>
    <message>
        <source>Message {model}…</source>
        <translation>Nachricht an {model} …</translation>
    </message>
    <message>
        <source>Write a message…</source>
        <translation>Nachricht schreiben …</translation>
    </message>
    <message>
        <source>Stop the reply</source>
        <translation>Antwort anhalten</translation>
    </message>
    <message>
        <source>Send</source>
        <translation>Senden</translation>
    </message>
</context>
<context>
    <name>ContextCard</name>
    <message>
        <source>Chat so far</source>
        <translation>Bisheriger Chat</translation>
    </message>
    <message>
        <source>Your message</source>
        <translation>Ihre Nachricht</translation>
    </message>
    <message>
        <source>Kept for the reply</source>
        <translation>Frei für die Antwort</translation>
    </message>
    <message>
        <source>Send</source>
        <translation>Senden</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message numerus="yes">
        <source>This no longer fits: %n tokens too many</source>
        <translation>
            <numerusform>Das passt nicht mehr: %n Token zu viel</numerusform>
            <numerusform>Das passt nicht mehr: %n Token zu viel</numerusform>
        </translation>
    </message>
    <message>
        <source>This is far longer than the context</source>
        <translation>Das ist weit länger als der Kontext</translation>
    </message>
    <message numerus="yes">
        <source>%n tokens of context</source>
        <translation>
            <numerusform>%n Token Kontext</numerusform>
            <numerusform>%n Token Kontext</numerusform>
        </translation>
    </message>
    <message>
        <source>the line marks {capacity}</source>
        <translation>der Strich markiert {capacity}</translation>
    </message>
    <message numerus="yes">
        <source>Leave out the %n oldest turns</source>
        <translation>
            <numerusform>Den ältesten Wechsel weglassen</numerusform>
            <numerusform>Die %n ältesten Wechsel weglassen</numerusform>
        </translation>
    </message>
    <message>
        <source>The model no longer sees them; you do, above a line in the chat.</source>
        <translation>Das Modell sieht sie nicht mehr; im Chat stehen sie weiter, über einer Linie.</translation>
    </message>
    <message numerus="yes">
        <source>%n tokens freed</source>
        <translation>
            <numerusform>%n Token frei</numerusform>
            <numerusform>%n Token frei</numerusform>
        </translation>
    </message>
    <message>
        <source>Shorten your message</source>
        <translation>Ihre Nachricht kürzen</translation>
    </message>
    <message numerus="yes">
        <source>Back to the box. It may have %n tokens.</source>
        <translation>
            <numerusform>Zurück ins Eingabefeld. %n Token passt hinein.</numerusform>
            <numerusform>Zurück ins Eingabefeld. %n Token passen hinein.</numerusform>
        </translation>
    </message>
    <message>
        <source>Back to the box.</source>
        <translation>Zurück ins Eingabefeld.</translation>
    </message>
    <message numerus="yes">
        <source>%n tokens to cut</source>
        <translation>
            <numerusform>%n Token zu kürzen</numerusform>
            <numerusform>%n Token zu kürzen</numerusform>
        </translation>
    </message>
    <message>
        <source>Load the model with a longer context</source>
        <translation>Das Modell mit längerem Kontext laden</translation>
    </message>
    <message numerus="yes">
        <source>%n tokens, if the memory suffices for them.</source>
        <translation>
            <numerusform>%n Token, falls der Speicher dafür reicht.</numerusform>
            <numerusform>%n Token, falls der Speicher dafür reicht.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n tokens more</source>
        <translation>
            <numerusform>%n Token mehr</numerusform>
            <numerusform>%n Token mehr</numerusform>
        </translation>
    </message>
    <message>
        <source>Shorten</source>
        <translation>Kürzen</translation>
    </message>
    <message>
        <source>Load and send</source>
        <translation>Laden und senden</translation>
    </message>
</context>
<context>
    <name>ContextGauge</name>
    <message>
        <source>more than {tokens}</source>
        <translation>mehr als {tokens}</translation>
    </message>
    <message>
        <source>{counted} of {capacity}</source>
        <translation>{counted} von {capacity}</translation>
    </message>
    <message>
        <source>Context: {counted} of {capacity} tokens. The chat has {chat}, your message {message}; {reserved} are kept for the reply.</source>
        <translation>Kontext: {counted} von {capacity} Token. Der Chat hat {chat}, Ihre Nachricht {message}; {reserved} bleiben für die Antwort frei.</translation>
    </message>
</context>
<context>
    <name>ContextUse</name>
    <message>
        <source>{share} % full</source>
        <translation>zu {share} % voll</translation>
    </message>
</context>
<context>
    <name>EditBar</name>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>Leave the prompt as it is</source>
        <translation>Die Nachricht lassen, wie sie ist</translation>
    </message>
    <message>
        <source>Changing a prompt; what followed it is kept as a version</source>
        <translation>Sie ändern eine Nachricht; was ihr folgte, bleibt als Fassung erhalten</translation>
    </message>
</context>
<context>
    <name>EngineClient</name>
    <message>
        <source>The engine did not answer</source>
        <translation>Die Engine hat nicht geantwortet</translation>
    </message>
    <message>
        <source>It was ended, and another one started.</source>
        <translation>Sie wurde beendet und neu gestartet.</translation>
    </message>
    <message>
        <source>The engine did not say hello</source>
        <translation>Die Engine hat sich nicht gemeldet</translation>
    </message>
    <message>
        <source>It began with: {event}.</source>
        <translation>Sie begann mit: {event}.</translation>
    </message>
    <message>
        <source>Its first line was: {start}</source>
        <translation>Ihre erste Zeile war: {start}</translation>
    </message>
    <message>
        <source>A message from the engine could not be read</source>
        <translation>Eine Nachricht der Engine war nicht lesbar</translation>
    </message>
    <message>
        <source>It begins with: {start}</source>
        <translation>Sie beginnt mit: {start}</translation>
    </message>
    <message>
        <source>If a reply is incomplete, regenerate it.</source>
        <translation>Ist eine Antwort unvollständig, lassen Sie sie neu schreiben.</translation>
    </message>
    <message>
        <source>The engine does not answer</source>
        <translation>Die Engine antwortet nicht</translation>
    </message>
    <message>
        <source>It said nothing for {hello_ms} s.</source>
        <translation>Sie hat sich {hello_ms} s lang nicht gemeldet.</translation>
    </message>
    <message>
        <source>It crashed, or the system ended it.</source>
        <translation>Sie ist abgestürzt, oder das System hat sie beendet.</translation>
    </message>
    <message>
        <source>It ended by itself.</source>
        <translation>Sie hat sich selbst beendet.</translation>
    </message>
    <message>
        <source>The engine has stopped</source>
        <translation>Die Engine läuft nicht mehr</translation>
    </message>
    <message>
        <source>The engine could not be started</source>
        <translation>Die Engine konnte nicht gestartet werden</translation>
    </message>
    <message>
        <source>Window and engine are of different versions</source>
        <translation>Fenster und Engine haben verschiedene Versionen</translation>
    </message>
    <message>
        <source>The window speaks protocol {ours}, the engine {version}. Install both from the same version of Hearth.</source>
        <translation>Das Fenster spricht Protokoll {ours}, die Engine {version}. Installieren Sie beide aus derselben Version von Hearth.</translation>
    </message>
</context>
<context>
    <name>EngineNotices</name>
    <message>
        <source>Your chats are kept.</source>
        <translation>Ihre Chats bleiben erhalten.</translation>
    </message>
    <message>
        <source>Start the engine again</source>
        <translation>Engine neu starten</translation>
    </message>
    <message>
        <source>The engine does not answer</source>
        <translation>Die Engine antwortet nicht</translation>
    </message>
    <message>
        <source>It has sent nothing for a while: it hangs, or the computer is very busy.</source>
        <translation>Sie hat eine Weile nichts gesendet: Sie hängt, oder der Computer ist stark ausgelastet.</translation>
    </message>
    <message>
        <source>Wait, or start it again: your chats and the reply so far are kept.</source>
        <translation>Warten Sie, oder starten Sie sie neu: Ihre Chats und die Antwort bis hierher bleiben erhalten.</translation>
    </message>
    <message>
        <source>Choose a model</source>
        <translation>Modell wählen</translation>
    </message>
    <message>
        <source>About this model</source>
        <translation>Zu diesem Modell</translation>
    </message>
</context>
<context>
    <name>EngineSentences</name>
    <message>
        <source>Something went wrong in the engine</source>
        <translation>In der Engine ist etwas schiefgegangen</translation>
    </message>
    <message>
        <source>This model cannot be opened</source>
        <translation>Dieses Modell lässt sich nicht öffnen</translation>
    </message>
    <message>
        <source>This model is not supported</source>
        <translation>Dieses Modell wird nicht unterstützt</translation>
    </message>
    <message>
        <source>Flash attention was asked for and is not possible here</source>
        <translation>Flash-Attention wurde verlangt und ist hier nicht möglich</translation>
    </message>
    <message>
        <source>This prompt cannot be sent</source>
        <translation>Diese Nachricht lässt sich nicht senden</translation>
    </message>
    <message>
        <source>This setting is not possible</source>
        <translation>Diese Einstellung ist nicht möglich</translation>
    </message>
    <message>
        <source>There is not enough memory</source>
        <translation>Der Speicher reicht nicht aus</translation>
    </message>
    <message>
        <source>A file could not be read or written</source>
        <translation>Eine Datei konnte nicht gelesen oder geschrieben werden</translation>
    </message>
    <message>
        <source>The graphics card reported a fault</source>
        <translation>Die Grafikkarte hat einen Fehler gemeldet</translation>
    </message>
    <message>
        <source>The engine did not understand a command</source>
        <translation>Die Engine hat einen Befehl nicht verstanden</translation>
    </message>
    <message>
        <source>`python3 start.py models` lists those that are here; a folder or a .gguf file works too.</source>
        <translation>`python3 start.py models` zeigt, welche vorhanden sind; ein Ordner oder eine .gguf-Datei geht auch.</translation>
    </message>
    <message>
        <source>Choose another one.</source>
        <translation>Wählen Sie ein anderes.</translation>
    </message>
    <message>
        <source>Load the model with its numbers as they are (dtype auto).</source>
        <translation>Laden Sie das Modell mit seinen Zahlen, wie sie sind (dtype auto).</translation>
    </message>
    <message>
        <source>It was not added.</source>
        <translation>Es wurde nicht aufgenommen.</translation>
    </message>
    <message>
        <source>Shorten it, or load the model with a longer context.</source>
        <translation>Kürzen Sie sie, oder laden Sie das Modell mit einem längeren Kontext.</translation>
    </message>
    <message>
        <source>Try again; if it happens again, the log file says more.</source>
        <translation>Versuchen Sie es noch einmal; geschieht es wieder, sagt die Protokolldatei mehr.</translation>
    </message>
    <message>
        <source>Download the file again, or choose another model.</source>
        <translation>Laden Sie die Datei noch einmal herunter, oder wählen Sie ein anderes Modell.</translation>
    </message>
    <message>
        <source>Choose another model, or another file of this one.</source>
        <translation>Wählen Sie ein anderes Modell oder eine andere Datei von diesem.</translation>
    </message>
    <message>
        <source>Set flash attention to auto or off.</source>
        <translation>Stellen Sie Flash-Attention auf automatisch oder aus.</translation>
    </message>
    <message>
        <source>Change the prompt and send it again.</source>
        <translation>Ändern Sie die Nachricht, und senden Sie sie noch einmal.</translation>
    </message>
    <message>
        <source>Choose another value.</source>
        <translation>Wählen Sie einen anderen Wert.</translation>
    </message>
    <message>
        <source>Choose a smaller model or a shorter context, or close other programs.</source>
        <translation>Wählen Sie ein kleineres Modell oder einen kürzeren Kontext, oder schließen Sie andere Programme.</translation>
    </message>
    <message>
        <source>Check the free space and the permissions of the folder, then try again.</source>
        <translation>Prüfen Sie den freien Platz und die Rechte des Ordners, und versuchen Sie es noch einmal.</translation>
    </message>
    <message>
        <source>The engine starts afresh; load the model again.</source>
        <translation>Die Engine startet neu; laden Sie das Modell noch einmal.</translation>
    </message>
    <message>
        <source>Write something first.</source>
        <translation>Schreiben Sie zuerst etwas.</translation>
    </message>
    <message>
        <source>Start a new chat, shorten the prompt, or load the model with a longer context.</source>
        <translation>Beginnen Sie einen neuen Chat, kürzen Sie die Nachricht, oder laden Sie das Modell mit einem längeren Kontext.</translation>
    </message>
    <message>
        <source>Allow at least 1 new token.</source>
        <translation>Erlauben Sie mindestens 1 neues Token.</translation>
    </message>
    <message>
        <source>Free some space on that disk, or check the folder&apos;s permissions, then try again.</source>
        <translation>Schaffen Sie Platz auf diesem Datenträger, oder prüfen Sie die Rechte des Ordners, und versuchen Sie es noch einmal.</translation>
    </message>
    <message>
        <source>Its settings and its weights are of different models: take all files from one place.</source>
        <translation>Einstellungen und Gewichte gehören zu verschiedenen Modellen: Nehmen Sie alle Dateien aus einer Quelle.</translation>
    </message>
    <message>
        <source>Its other files are missing, or it was published without them: choose a complete one.</source>
        <translation>Die übrigen Dateien fehlen, oder es wurde ohne sie veröffentlicht: Wählen Sie ein vollständiges Modell.</translation>
    </message>
    <message>
        <source>Download tokenizer.json and tokenizer_config.json into it.</source>
        <translation>Laden Sie tokenizer.json und tokenizer_config.json in den Ordner herunter.</translation>
    </message>
    <message>
        <source>Get the file itself (git lfs pull), or add the model&apos;s tokenizer.json to the folder.</source>
        <translation>Holen Sie die Datei selbst (git lfs pull), oder legen Sie die tokenizer.json des Modells in den Ordner.</translation>
    </message>
    <message>
        <source>Choose another file of this model.</source>
        <translation>Wählen Sie eine andere Datei dieses Modells.</translation>
    </message>
    <message>
        <source>Choose another file.</source>
        <translation>Wählen Sie eine andere Datei.</translation>
    </message>
    <message>
        <source>Download the model again in a newer conversion.</source>
        <translation>Laden Sie das Modell in einer neueren Umwandlung herunter.</translation>
    </message>
    <message>
        <source>The download may have been interrupted: download the file again.</source>
        <translation>Das Herunterladen wurde vielleicht unterbrochen: Laden Sie die Datei noch einmal herunter.</translation>
    </message>
    <message>
        <source>Choose another model.</source>
        <translation>Wählen Sie ein anderes Modell.</translation>
    </message>
    <message>
        <source>Choose a GGUF file of this model.</source>
        <translation>Wählen Sie eine GGUF-Datei dieses Modells.</translation>
    </message>
    <message>
        <source>Choose a .gguf file, or a folder with config.json and safetensors.</source>
        <translation>Wählen Sie eine .gguf-Datei oder einen Ordner mit config.json und safetensors.</translation>
    </message>
    <message>
        <source>Download the little-endian file.</source>
        <translation>Laden Sie die Little-Endian-Datei herunter.</translation>
    </message>
    <message>
        <source>Download another quantisation of this model, such as Q4_K_M.</source>
        <translation>Laden Sie eine andere Quantisierung dieses Modells herunter, zum Beispiel Q4_K_M.</translation>
    </message>
    <message>
        <source>Hearth applies no adapters. Choose a model into which it is merged.</source>
        <translation>Hearth wendet keine Adapter an. Wählen Sie ein Modell, in das er eingerechnet ist.</translation>
    </message>
    <message>
        <source>Choose a file with the weights.</source>
        <translation>Wählen Sie eine Datei mit den Gewichten.</translation>
    </message>
    <message>
        <source>Choose a model that is made for chats.</source>
        <translation>Wählen Sie ein Modell, das für Chats gemacht ist.</translation>
    </message>
    <message>
        <source>Download the files of one model into a folder of their own.</source>
        <translation>Laden Sie die Dateien eines Modells in einen eigenen Ordner herunter.</translation>
    </message>
    <message>
        <source>Download the file again, or give the files their names back.</source>
        <translation>Laden Sie die Datei noch einmal herunter, oder geben Sie den Dateien ihre Namen zurück.</translation>
    </message>
    <message>
        <source>Choose another model, or a newer Hearth.</source>
        <translation>Wählen Sie ein anderes Modell oder ein neueres Hearth.</translation>
    </message>
    <message>
        <source>Free some space on that disk (about 50 MB), then try again.</source>
        <translation>Schaffen Sie auf diesem Datenträger Platz (etwa 50 MB), und versuchen Sie es noch einmal.</translation>
    </message>
    <message>
        <source>Check the permissions of the file.</source>
        <translation>Prüfen Sie die Rechte der Datei.</translation>
    </message>
    <message>
        <source>Choose the folder that the model was downloaded to, or a .gguf file.</source>
        <translation>Wählen Sie den Ordner, in den das Modell heruntergeladen wurde, oder eine .gguf-Datei.</translation>
    </message>
    <message>
        <source>Choose the model&apos;s original folder, or a quantised .gguf file.</source>
        <translation>Wählen Sie den ursprünglichen Ordner des Modells oder eine quantisierte .gguf-Datei.</translation>
    </message>
    <message>
        <source>Put the file itself into the folder.</source>
        <translation>Legen Sie die Datei selbst in den Ordner.</translation>
    </message>
    <message>
        <source>Choose a model that the adapter was merged into (peft: merge_and_unload).</source>
        <translation>Wählen Sie ein Modell, in das der Adapter eingerechnet wurde (peft: merge_and_unload).</translation>
    </message>
    <message>
        <source>Download the missing files into it.</source>
        <translation>Laden Sie die fehlenden Dateien in den Ordner herunter.</translation>
    </message>
    <message>
        <source>Choose a language model&apos;s folder.</source>
        <translation>Wählen Sie den Ordner eines Sprachmodells.</translation>
    </message>
    <message>
        <source>Choose one of these.</source>
        <translation>Wählen Sie eines von diesen.</translation>
    </message>
    <message>
        <source>Use safetensors: download the model in that format, or as a .gguf file.</source>
        <translation>Verwenden Sie safetensors: Laden Sie das Modell in diesem Format oder als .gguf-Datei herunter.</translation>
    </message>
    <message>
        <source>Shorten the prompt, start a new conversation, or choose another model.</source>
        <translation>Kürzen Sie die Nachricht, beginnen Sie einen neuen Chat, oder wählen Sie ein anderes Modell.</translation>
    </message>
    <message>
        <source>Shorten the text, or choose another model.</source>
        <translation>Kürzen Sie den Text, oder wählen Sie ein anderes Modell.</translation>
    </message>
    <message>
        <source>Choose another model, or another copy of this one.</source>
        <translation>Wählen Sie ein anderes Modell oder eine andere Kopie von diesem.</translation>
    </message>
    <message>
        <source>Start a new conversation, or choose another model.</source>
        <translation>Beginnen Sie einen neuen Chat, oder wählen Sie ein anderes Modell.</translation>
    </message>
    <message>
        <source>Load the model again when no other program writes to that file.</source>
        <translation>Laden Sie das Modell noch einmal, wenn kein anderes Programm in diese Datei schreibt.</translation>
    </message>
    <message>
        <source>Check the path, or choose another model.</source>
        <translation>Prüfen Sie den Pfad, oder wählen Sie ein anderes Modell.</translation>
    </message>
    <message>
        <source>Download the model again, or load it in another dtype.</source>
        <translation>Laden Sie das Modell noch einmal herunter, oder laden Sie es mit einem anderen Datentyp.</translation>
    </message>
    <message>
        <source>Set the rope_scaling in its config.json to yarn, or choose another model.</source>
        <translation>Stellen Sie rope_scaling in der config.json auf yarn, oder wählen Sie ein anderes Modell.</translation>
    </message>
    <message>
        <source>Free some space on that disk (about 300 MB), then try again.</source>
        <translation>Schaffen Sie auf diesem Datenträger Platz (etwa 300 MB), und versuchen Sie es noch einmal.</translation>
    </message>
    <message>
        <source>Install them again.</source>
        <translation>Installieren Sie sie noch einmal.</translation>
    </message>
    <message>
        <source>Temperature and top-k are 0 or more, top-p is in (0, 1], min-p in [0, 1), the repetition penalty above 0, the other penalties between -100 and 100.</source>
        <translation>Temperatur und Top-k sind 0 oder größer, Top-p liegt in (0, 1], Min-p in [0, 1), die Wiederholungsstrafe über 0, die übrigen Strafen zwischen -100 und 100.</translation>
    </message>
    <message>
        <source>Check that the window and the engine come from the same version of Hearth.</source>
        <translation>Prüfen Sie, ob Fenster und Engine aus derselben Version von Hearth stammen.</translation>
    </message>
    <message>
        <source>Choose a model first.</source>
        <translation>Wählen Sie zuerst ein Modell.</translation>
    </message>
    <message>
        <source>`python3 start.py doctor` says which one it is and what to do.</source>
        <translation>`python3 start.py doctor` sagt, welches es ist und was zu tun ist.</translation>
    </message>
    <message>
        <source>This reply was interrupted</source>
        <translation>Diese Antwort wurde unterbrochen</translation>
    </message>
    <message>
        <source>Hearth ended while it was written.</source>
        <translation>Hearth wurde beendet, während sie geschrieben wurde.</translation>
    </message>
    <message>
        <source>Regenerate it.</source>
        <translation>Lassen Sie sie neu schreiben.</translation>
    </message>
</context>
<context>
    <name>Entries</name>
    <message>
        <source>Do</source>
        <translation>Tun</translation>
    </message>
    <message>
        <source>Models here</source>
        <translation>Modelle auf diesem Computer</translation>
    </message>
    <message>
        <source>Chats</source>
        <translation>Chats</translation>
    </message>
</context>
<context>
    <name>ExchangePage</name>
    <message>
        <source>Thought</source>
        <translation>Gedacht</translation>
    </message>
</context>
<context>
    <name>ExchangeReading</name>
    <message>
        <source>Imported chat</source>
        <translation>Importierter Chat</translation>
    </message>
    <message>
        <source>{name} has {size} MB; files of up to {largest} MB are read. Export fewer chats at once.</source>
        <translation>{name} hat {size} MB; gelesen werden Dateien bis {largest} MB. Exportieren Sie weniger Chats auf einmal.</translation>
    </message>
    <message>
        <source>{name} cannot be read: {strerror}. Check that it is still there and that you may read it.</source>
        <translation>{name} lässt sich nicht lesen: {strerror}. Prüfen Sie, ob die Datei noch da ist und ob Sie sie lesen dürfen.</translation>
    </message>
    <message>
        <source>No chat was found in {name}. Hearth reads its own JSON, conversations.json of ChatGPT&apos;s export, Open WebUI&apos;s export, LM Studio&apos;s conversations, and lists of messages with role and content.</source>
        <translation>In {name} wurde kein Chat gefunden. Hearth liest sein eigenes JSON, die conversations.json aus dem Export von ChatGPT, den Export von Open WebUI, Gespräche aus LM Studio und Listen von Nachrichten mit role und content.</translation>
    </message>
    <message>
        <source>{name} is empty.</source>
        <translation>{name} ist leer.</translation>
    </message>
    <message>
        <source>{name} is not whole JSON: {error}. If it came out of an archive, unpack it again; choose the .json file in it.</source>
        <translation>{name} ist kein vollständiges JSON: {error}. Stammt die Datei aus einem Archiv, entpacken Sie es noch einmal; wählen Sie die .json-Datei darin.</translation>
    </message>
    <message>
        <source>{name} is not as Hearth wrote it: {error}.</source>
        <translation>{name} ist nicht so, wie Hearth die Datei geschrieben hat: {error}.</translation>
    </message>
    <message>
        <source>A newer version of Hearth wrote {name}. Install that version to read it.</source>
        <translation>{name} stammt aus einer neueren Version von Hearth. Installieren Sie diese Version, um die Datei zu lesen.</translation>
    </message>
</context>
<context>
    <name>ExchangeWriting</name>
    <message>
        <source>You</source>
        <translation>Sie</translation>
    </message>
    <message>
        <source>Reply</source>
        <translation>Antwort</translation>
    </message>
    <message>
        <source>System</source>
        <translation>System</translation>
    </message>
</context>
<context>
    <name>FileChips</name>
    <message>
        <source>Attached files</source>
        <translation>Angehängte Dateien</translation>
    </message>
    <message>
        <source>Take {name} out</source>
        <translation>{name} herausnehmen</translation>
    </message>
    <message>
        <source>Take it out</source>
        <translation>Herausnehmen</translation>
    </message>
    <message>
        <source>{count} tokens</source>
        <translation>{count} Token</translation>
    </message>
</context>
<context>
    <name>FileDrops</name>
    <message>
        <source>Attach text or code</source>
        <translation>Text oder Code anhängen</translation>
    </message>
    <message>
        <source>A file was not attached</source>
        <translation>Eine Datei wurde nicht angehängt</translation>
    </message>
</context>
<context>
    <name>FindBar</name>
    <message>
        <source>Find in this chat</source>
        <translation>In diesem Chat suchen</translation>
    </message>
    <message>
        <source>Find the one before (Shift+Enter)</source>
        <translation>Vorige Stelle (Umschalt+Enter)</translation>
    </message>
    <message>
        <source>Find the next (Enter)</source>
        <translation>Nächste Stelle (Enter)</translation>
    </message>
    <message>
        <source>Close (Esc)</source>
        <translation>Schließen (Esc)</translation>
    </message>
    <message>
        <source>{at} of {of}</source>
        <translation>{at} von {of}</translation>
    </message>
    <message>
        <source>Not found</source>
        <translation>Nicht gefunden</translation>
    </message>
</context>
<context>
    <name>Folders</name>
    <message>
        <source>Chats and settings</source>
        <translation>Chats und Einstellungen</translation>
    </message>
    <message>
        <source>Models that are listed by themselves</source>
        <translation>Modelle, die von selbst aufgeführt werden</translation>
    </message>
    <message>
        <source>What the engine writes down</source>
        <translation>Protokoll der Engine</translation>
    </message>
</context>
<context>
    <name>Header</name>
    <message>
        <source>Starting the engine</source>
        <translation>Engine startet</translation>
    </message>
    <message>
        <source>Preparing the model</source>
        <translation>Modell wird vorbereitet</translation>
    </message>
    <message>
        <source>Loading weights</source>
        <translation>Gewichte werden geladen</translation>
    </message>
    <message>
        <source>Checking attention</source>
        <translation>Attention wird geprüft</translation>
    </message>
    <message>
        <source>Loading</source>
        <translation>Wird geladen</translation>
    </message>
    <message>
        <source>New chat</source>
        <translation>Neuer Chat</translation>
    </message>
    <message>
        <source>Loading progress</source>
        <translation>Fortschritt des Ladens</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>Cancel loading</source>
        <translation>Laden abbrechen</translation>
    </message>
    <message>
        <source>Choose a model</source>
        <translation>Modell wählen</translation>
    </message>
    <message>
        <source>Choose a model (Ctrl+M)</source>
        <translation>Modell wählen (Strg+M)</translation>
    </message>
    <message>
        <source>Settings of this chat</source>
        <translation>Einstellungen dieses Chats</translation>
    </message>
    <message>
        <source>Settings of this chat (Ctrl+Shift+,)</source>
        <translation>Einstellungen dieses Chats (Strg+Umschalt+,)</translation>
    </message>
    <message>
        <source>Model: {name}</source>
        <translation>Modell: {name}</translation>
    </message>
    <message>
        <source>Show the chats</source>
        <translation>Chats anzeigen</translation>
    </message>
    <message>
        <source>Chats (Ctrl+B)</source>
        <translation>Chats (Strg+B)</translation>
    </message>
</context>
<context>
    <name>LinkSpots</name>
    <message>
        <source>Link: {words}</source>
        <translation>Link: {words}</translation>
    </message>
</context>
<context>
    <name>Links</name>
    <message>
        <source>Open a link</source>
        <translation>Link öffnen</translation>
    </message>
    <message>
        <source>Open this link in your browser?</source>
        <translation>Diesen Link im Browser öffnen?</translation>
    </message>
    <message>
        <source>This link is not opened here.</source>
        <translation>Dieser Link wird hier nicht geöffnet.</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>Copy link</source>
        <translation>Link kopieren</translation>
    </message>
    <message>
        <source>Open</source>
        <translation>Öffnen</translation>
    </message>
</context>
<context>
    <name>ModelsLoader</name>
    <message>
        <source>The engine is not running</source>
        <translation>Die Engine läuft nicht</translation>
    </message>
    <message>
        <source>Without it the list of models cannot be changed.</source>
        <translation>Ohne sie lässt sich die Liste der Modelle nicht ändern.</translation>
    </message>
    <message>
        <source>Load a model or press “Start the engine again”, then try once more.</source>
        <translation>Laden Sie ein Modell, oder drücken Sie „Engine neu starten“, und versuchen Sie es noch einmal.</translation>
    </message>
</context>
<context>
    <name>ModelsPicker</name>
    <message>
        <source>Flash attention: auto</source>
        <translation>Flash-Attention: automatisch</translation>
    </message>
    <message>
        <source>Flash attention: on</source>
        <translation>Flash-Attention: ein</translation>
    </message>
    <message>
        <source>Flash attention: off</source>
        <translation>Flash-Attention: aus</translation>
    </message>
    <message>
        <source>Models</source>
        <translation>Modelle</translation>
    </message>
    <message>
        <source>Filter by name, family, size</source>
        <translation>Nach Name, Familie, Größe filtern</translation>
    </message>
    <message>
        <source>Filter the models</source>
        <translation>Modelle filtern</translation>
    </message>
    <message>
        <source>Remove from the list</source>
        <translation>Aus der Liste nehmen</translation>
    </message>
    <message>
        <source>Load</source>
        <translation>Laden</translation>
    </message>
    <message>
        <source>Models on this computer</source>
        <translation>Modelle auf diesem Computer</translation>
    </message>
    <message>
        <source>Flash attention</source>
        <translation>Flash-Attention</translation>
    </message>
    <message>
        <source>Used for the next model that is loaded</source>
        <translation>Gilt für das nächste Modell, das geladen wird</translation>
    </message>
    <message>
        <source>Add folder…</source>
        <translation>Ordner hinzufügen …</translation>
    </message>
    <message>
        <source>Add GGUF file…</source>
        <translation>GGUF-Datei hinzufügen …</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>No model matches the filter.</source>
        <translation>Kein Modell passt zum Filter.</translation>
    </message>
    <message>
        <source>Looking for models…</source>
        <translation>Modelle werden gesucht …</translation>
    </message>
    <message>
        <source>There is no model on this computer yet. Add a folder with a checkpoint in safetensors format, or a GGUF file.</source>
        <translation>Auf diesem Computer ist noch kein Modell. Fügen Sie einen Ordner mit einem Checkpoint im Format safetensors oder eine GGUF-Datei hinzu.</translation>
    </message>
    <message>
        <source>Add a folder with a model</source>
        <translation>Ordner mit einem Modell hinzufügen</translation>
    </message>
    <message>
        <source>Add a GGUF file</source>
        <translation>GGUF-Datei hinzufügen</translation>
    </message>
    <message>
        <source>GGUF models (*.gguf)</source>
        <translation>GGUF-Modelle (*.gguf)</translation>
    </message>
</context>
<context>
    <name>ModelsTable</name>
    <message>
        <source>Name</source>
        <translation>Name</translation>
    </message>
    <message>
        <source>Family</source>
        <translation>Familie</translation>
    </message>
    <message>
        <source>Size</source>
        <translation>Größe</translation>
    </message>
    <message>
        <source>Weights</source>
        <translation>Gewichte</translation>
    </message>
    <message>
        <source>On disk</source>
        <translation>Auf dem Datenträger</translation>
    </message>
    <message>
        <source>Context</source>
        <translation>Kontext</translation>
    </message>
    <message>
        <source>This computer</source>
        <translation>Dieser Computer</translation>
    </message>
    <message>
        <source>Cannot be used</source>
        <translation>Nicht verwendbar</translation>
    </message>
    <message>
        <source>Ready to load</source>
        <translation>Ladebereit</translation>
    </message>
</context>
<context>
    <name>NameDialog</name>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
</context>
<context>
    <name>Notifier</name>
    <message>
        <source>The reply is ready</source>
        <translation>Die Antwort ist fertig</translation>
    </message>
</context>
<context>
    <name>NumberFormat</name>
    <message numerus="yes">
        <source>%n bytes</source>
        <translation>
            <numerusform>%n Byte</numerusform>
            <numerusform>%n Byte</numerusform>
        </translation>
    </message>
    <message>
        <source>{done} of {total} {unit}</source>
        <translation>{done} von {total} {unit}</translation>
    </message>
</context>
<context>
    <name>Page</name>
    <message>
        <source>Reading the prompt, {done} of {total} tokens</source>
        <translation>Nachricht wird gelesen, {done} von {total} Token</translation>
    </message>
</context>
<context>
    <name>Palette</name>
    <message>
        <source>Commands</source>
        <translation>Befehle</translation>
    </message>
    <message>
        <source>Name of a command, model or chat</source>
        <translation>Name eines Befehls, Modells oder Chats</translation>
    </message>
    <message>
        <source>What do you want to do?</source>
        <translation>Was möchten Sie tun?</translation>
    </message>
    <message>
        <source>What fits</source>
        <translation>Was passt</translation>
    </message>
    <message>
        <source>Nothing has this name</source>
        <translation>Nichts hat diesen Namen</translation>
    </message>
    <message>
        <source>↑↓ choose</source>
        <translation>↑↓ wählt</translation>
    </message>
    <message>
        <source>Enter opens</source>
        <translation>Enter öffnet</translation>
    </message>
    <message>
        <source>Esc closes</source>
        <translation>Esc schließt</translation>
    </message>
</context>
<context>
    <name>Pasted</name>
    <message numerus="yes">
        <source>%n characters</source>
        <translation>
            <numerusform>%n Zeichen</numerusform>
            <numerusform>%n Zeichen</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>Plain</name>
    <message numerus="yes">
        <source>… (%n more characters)</source>
        <translation>
            <numerusform>… (%n weiteres Zeichen)</numerusform>
            <numerusform>… (%n weitere Zeichen)</numerusform>
        </translation>
    </message>
    <message>
        <source>Copy</source>
        <translation>Kopieren</translation>
    </message>
</context>
<context>
    <name>QueueCard</name>
    <message>
        <source>Prompts that wait</source>
        <translation>Wartende Nachrichten</translation>
    </message>
    <message>
        <source>Take this prompt back</source>
        <translation>Diese Nachricht zurückholen</translation>
    </message>
    <message>
        <source>Do not send this prompt</source>
        <translation>Diese Nachricht nicht senden</translation>
    </message>
    <message>
        <source>Sent when its turn comes</source>
        <translation>Wird gesendet, sobald sie an der Reihe ist</translation>
    </message>
</context>
<context>
    <name>Replies</name>
    <message>
        <source>Regenerate the reply once the engine runs again.</source>
        <translation>Lassen Sie die Antwort neu schreiben, sobald die Engine wieder läuft.</translation>
    </message>
</context>
<context>
    <name>ReplyRows</name>
    <message>
        <source>not known</source>
        <translation>nicht bekannt</translation>
    </message>
    <message>
        <source>{words} (expanded)</source>
        <translation>{words} (aufgeklappt)</translation>
    </message>
    <message>
        <source>Hide what the model thought</source>
        <translation>Gedanken des Modells ausblenden</translation>
    </message>
    <message>
        <source>{words} (collapsed)</source>
        <translation>{words} (zugeklappt)</translation>
    </message>
    <message>
        <source>Show what the model thought</source>
        <translation>Gedanken des Modells anzeigen</translation>
    </message>
    <message>
        <source>Copy the prompt</source>
        <translation>Nachricht kopieren</translation>
    </message>
    <message>
        <source>Copy</source>
        <translation>Kopieren</translation>
    </message>
    <message>
        <source>Change the prompt</source>
        <translation>Nachricht ändern</translation>
    </message>
    <message>
        <source>Stop the reply</source>
        <translation>Antwort anhalten</translation>
    </message>
    <message>
        <source>Stop (Esc)</source>
        <translation>Anhalten (Esc)</translation>
    </message>
    <message>
        <source>Copy the reply</source>
        <translation>Antwort kopieren</translation>
    </message>
    <message>
        <source>Write the reply again</source>
        <translation>Antwort neu schreiben</translation>
    </message>
    <message>
        <source>Write again (Ctrl+R)</source>
        <translation>Neu schreiben (Strg+R)</translation>
    </message>
    <message>
        <source>Go on with the reply</source>
        <translation>Antwort fortsetzen</translation>
    </message>
    <message>
        <source>Go on (Ctrl+Shift+R)</source>
        <translation>Fortsetzen (Strg+Umschalt+R)</translation>
    </message>
    <message>
        <source>More to do with this reply</source>
        <translation>Mehr zu dieser Antwort</translation>
    </message>
    <message>
        <source>More</source>
        <translation>Mehr</translation>
    </message>
    <message>
        <source>Figures of the reply</source>
        <translation>Zahlen zur Antwort</translation>
    </message>
    <message>
        <source>Figures</source>
        <translation>Zahlen</translation>
    </message>
    <message>
        <source>Attention kernel</source>
        <translation>Attention-Kernel</translation>
    </message>
    <message>
        <source>{rate} tokens/s</source>
        <translation>{rate} Token/s</translation>
    </message>
    <message>
        <source>Drawn with</source>
        <translation>Erzeugt mit</translation>
    </message>
    <message numerus="yes">
        <source>%n tokens</source>
        <translation>
            <numerusform>%n Token</numerusform>
            <numerusform>%n Token</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n of them thought</source>
        <translation>
            <numerusform>davon %n gedacht</numerusform>
            <numerusform>davon %n gedacht</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>{reused} of %n prompt tokens</source>
        <translation>
            <numerusform>{reused} von %n Token der Eingabe</numerusform>
            <numerusform>{reused} von %n Token der Eingabe</numerusform>
        </translation>
    </message>
    <message>
        <source>Model</source>
        <translation>Modell</translation>
    </message>
    <message>
        <source>Length</source>
        <translation>Länge</translation>
    </message>
    <message>
        <source>Speed</source>
        <translation>Tempo</translation>
    </message>
    <message>
        <source>First token</source>
        <translation>Erstes Token</translation>
    </message>
    <message>
        <source>Reused from the last turn</source>
        <translation>Weiterverwendet</translation>
    </message>
    <message>
        <source>Prompt read at</source>
        <translation>Eingabe gelesen mit</translation>
    </message>
    <message>
        <source>Thinking…</source>
        <translation>Denkt nach …</translation>
    </message>
    <message>
        <source>Thought for {seconds}</source>
        <translation>{seconds} nachgedacht</translation>
    </message>
    <message>
        <source>Thought for a moment</source>
        <translation>Kurz nachgedacht</translation>
    </message>
</context>
<context>
    <name>ScopeBar</name>
    <message>
        <source>These settings hold for</source>
        <translation>Diese Einstellungen gelten für</translation>
    </message>
    <message>
        <source>Name of the preset</source>
        <translation>Name der Vorlage</translation>
    </message>
    <message>
        <source>New preset</source>
        <translation>Neue Vorlage</translation>
    </message>
    <message>
        <source>Delete this preset</source>
        <translation>Diese Vorlage löschen</translation>
    </message>
    <message>
        <source>Preset</source>
        <translation>Vorlage</translation>
    </message>
    <message>
        <source>Model</source>
        <translation>Modell</translation>
    </message>
    <message>
        <source>All chats</source>
        <translation>Alle Chats</translation>
    </message>
</context>
<context>
    <name>SearchResults</name>
    <message>
        <source>Nothing was found</source>
        <translation>Nichts gefunden</translation>
    </message>
    <message numerus="yes">
        <source>%n+ hits</source>
        <translation>
            <numerusform>%n+ Treffer</numerusform>
            <numerusform>%n+ Treffer</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n hits</source>
        <translation>
            <numerusform>%n Treffer</numerusform>
            <numerusform>%n Treffer</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>{found} in %n chats</source>
        <translation>
            <numerusform>{found} in %n Chat</numerusform>
            <numerusform>{found} in %n Chats</numerusform>
        </translation>
    </message>
    <message>
        <source>What was found</source>
        <translation>Treffer</translation>
    </message>
</context>
<context>
    <name>SettingControls</name>
    <message>
        <source>A whole number from {low} to {high}, or nothing</source>
        <translation>Eine ganze Zahl von {low} bis {high}, oder nichts</translation>
    </message>
    <message>
        <source>A number from {low} to {high}, or nothing</source>
        <translation>Eine Zahl von {low} bis {high}, oder nichts</translation>
    </message>
    <message>
        <source>As model</source>
        <translation>Wie Modell</translation>
    </message>
    <message>
        <source>As set for all</source>
        <translation>Wie für alle</translation>
    </message>
</context>
<context>
    <name>SettingsPage</name>
    <message>
        <source>Folders</source>
        <translation>Ordner</translation>
    </message>
    <message>
        <source>Search settings</source>
        <translation>Einstellungen durchsuchen</translation>
    </message>
    <message>
        <source>No setting has these words</source>
        <translation>Keine Einstellung enthält diese Wörter</translation>
    </message>
    <message>
        <source>Back to the chats</source>
        <translation>Zurück zu den Chats</translation>
    </message>
    <message>
        <source>Back to the chats (Esc)</source>
        <translation>Zurück zu den Chats (Esc)</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>Einstellungen</translation>
    </message>
    <message>
        <source>Open</source>
        <translation>Öffnen</translation>
    </message>
</context>
<context>
    <name>SettingsValues</name>
    <message>
        <source>Replies</source>
        <translation>Antworten</translation>
    </message>
    <message>
        <source>Model</source>
        <translation>Modell</translation>
    </message>
    <message>
        <source>Window</source>
        <translation>Fenster</translation>
    </message>
    <message>
        <source>System prompt</source>
        <translation>Systemprompt</translation>
    </message>
    <message>
        <source>Stands unseen before the chat</source>
        <translation>Steht ungesehen vor dem Chat</translation>
    </message>
    <message>
        <source>Temperature</source>
        <translation>Temperatur</translation>
    </message>
    <message>
        <source>Low: steady answers. High: more surprising ones.</source>
        <translation>Niedrig: verlässliche Antworten. Hoch: überraschendere.</translation>
    </message>
    <message>
        <source>Variety (top-p)</source>
        <translation>Vielfalt (Top-p)</translation>
    </message>
    <message>
        <source>How far down the list of likely words to look</source>
        <translation>Wie weit unten in der Liste wahrscheinlicher Wörter gesucht wird</translation>
    </message>
    <message>
        <source>Most words (top-k)</source>
        <translation>Meiste Wörter (Top-k)</translation>
    </message>
    <message>
        <source>How many likely words are looked at; 0 for all</source>
        <translation>Wie viele wahrscheinliche Wörter in Frage kommen; 0 für alle</translation>
    </message>
    <message>
        <source>Least share (min-p)</source>
        <translation>Kleinster Anteil (Min-p)</translation>
    </message>
    <message>
        <source>How likely a word is at least, beside the likeliest</source>
        <translation>Wie wahrscheinlich ein Wort mindestens ist, verglichen mit dem wahrscheinlichsten</translation>
    </message>
    <message>
        <source>Against repetition</source>
        <translation>Gegen Wiederholung</translation>
    </message>
    <message>
        <source>Above 1: words that were said come less often</source>
        <translation>Über 1: Schon Gesagtes kommt seltener wieder</translation>
    </message>
    <message>
        <source>Presence penalty</source>
        <translation>Strafe für Vorkommen</translation>
    </message>
    <message>
        <source>For each word that the reply has used at all</source>
        <translation>Für jedes Wort, das in der Antwort schon vorkommt</translation>
    </message>
    <message>
        <source>Frequency penalty</source>
        <translation>Strafe für Häufigkeit</translation>
    </message>
    <message>
        <source>For each time that the reply has used a word</source>
        <translation>Für jedes Mal, das ein Wort in der Antwort vorkommt</translation>
    </message>
    <message>
        <source>Seed</source>
        <translation>Startwert</translation>
    </message>
    <message>
        <source>The same number gives the same reply again</source>
        <translation>Dieselbe Zahl gibt dieselbe Antwort wieder</translation>
    </message>
    <message>
        <source>Longest reply</source>
        <translation>Längste Antwort</translation>
    </message>
    <message>
        <source>In tokens; thinking counts</source>
        <translation>In Token; Gedachtes zählt mit</translation>
    </message>
    <message>
        <source>Stop at</source>
        <translation>Ende bei</translation>
    </message>
    <message>
        <source>A reply ends before one of these texts, one a line</source>
        <translation>Eine Antwort endet vor einem dieser Texte, einer je Zeile</translation>
    </message>
    <message>
        <source>When the context is full</source>
        <translation>Wenn der Kontext voll ist</translation>
    </message>
    <message>
        <source>The model cannot see more than its context at once</source>
        <translation>Das Modell sieht nie mehr als seinen Kontext auf einmal</translation>
    </message>
    <message>
        <source>Ask</source>
        <translation>Fragen</translation>
    </message>
    <message>
        <source>Leave out the oldest</source>
        <translation>Älteste weglassen</translation>
    </message>
    <message>
        <source>Context length</source>
        <translation>Kontextlänge</translation>
    </message>
    <message>
        <source>In tokens, at the next load; the longer, the more memory</source>
        <translation>In Token, ab dem nächsten Laden; je länger, desto mehr Speicher</translation>
    </message>
    <message>
        <source>Numbers of the model</source>
        <translation>Zahlenformat des Modells</translation>
    </message>
    <message>
        <source>At the next load; automatic fits the device</source>
        <translation>Ab dem nächsten Laden; automatisch passt zum Gerät</translation>
    </message>
    <message>
        <source>Automatic</source>
        <translation>Automatisch</translation>
    </message>
    <message>
        <source>8 bits, half the memory</source>
        <translation>8 Bit, halber Speicher</translation>
    </message>
    <message>
        <source>Colours</source>
        <translation>Farben</translation>
    </message>
    <message>
        <source>Changes show at once</source>
        <translation>Änderungen sind sofort zu sehen</translation>
    </message>
    <message>
        <source>As the system</source>
        <translation>Wie das System</translation>
    </message>
    <message>
        <source>Light</source>
        <translation>Hell</translation>
    </message>
    <message>
        <source>Dark</source>
        <translation>Dunkel</translation>
    </message>
    <message>
        <source>High contrast</source>
        <translation>Hoher Kontrast</translation>
    </message>
    <message>
        <source>Text size</source>
        <translation>Schriftgröße</translation>
    </message>
    <message>
        <source>In percent; also Ctrl++, Ctrl+- and Ctrl+0</source>
        <translation>In Prozent; auch Strg++, Strg+- und Strg+0</translation>
    </message>
    <message>
        <source>Language</source>
        <translation>Sprache</translation>
    </message>
    <message>
        <source>Of this window; a model answers as it is asked</source>
        <translation>Des Fensters; ein Modell antwortet, wie es gefragt wird</translation>
    </message>
    <message>
        <source>Enter</source>
        <translation>Enter</translation>
    </message>
    <message>
        <source>Shift+Enter does the other</source>
        <translation>Umschalt+Enter tut das andere</translation>
    </message>
    <message>
        <source>Sends</source>
        <translation>Sendet</translation>
    </message>
    <message>
        <source>Begins a line</source>
        <translation>Beginnt eine Zeile</translation>
    </message>
    <message>
        <source>Motion</source>
        <translation>Bewegung</translation>
    </message>
    <message>
        <source>What opens or folds moves for a moment</source>
        <translation>Was aufgeht oder zuklappt, bewegt sich kurz</translation>
    </message>
    <message>
        <source>None</source>
        <translation>Keine</translation>
    </message>
    <message>
        <source>Say when a reply is ready</source>
        <translation>Melden, wenn eine Antwort fertig ist</translation>
    </message>
    <message>
        <source>If it took long and the window is not in front</source>
        <translation>Wenn sie lang gedauert hat und das Fenster nicht vorn ist</translation>
    </message>
    <message>
        <source>Yes</source>
        <translation>Ja</translation>
    </message>
    <message>
        <source>No</source>
        <translation>Nein</translation>
    </message>
</context>
<context>
    <name>Shortcuts</name>
    <message>
        <source>Writing</source>
        <translation>Schreiben</translation>
    </message>
    <message>
        <source>Send</source>
        <translation>Senden</translation>
    </message>
    <message>
        <source>New line</source>
        <translation>Neue Zeile</translation>
    </message>
    <message>
        <source>Chats</source>
        <translation>Chats</translation>
    </message>
    <message>
        <source>Rename, in the list</source>
        <translation>Umbenennen, in der Liste</translation>
    </message>
    <message>
        <source>Into the trash, in the list</source>
        <translation>In den Papierkorb, in der Liste</translation>
    </message>
    <message>
        <source>Shortcuts</source>
        <translation>Tastenkürzel</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
</context>
<context>
    <name>Sidebar</name>
    <message>
        <source>Sidebar</source>
        <translation>Seitenleiste</translation>
    </message>
    <message>
        <source>Models</source>
        <translation>Modelle</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>Einstellungen</translation>
    </message>
</context>
<context>
    <name>StatusLine</name>
    <message>
        <source>Attention: {words}</source>
        <translation>Attention: {words}</translation>
    </message>
    <message>
        <source>Status</source>
        <translation>Status</translation>
    </message>
    <message>
        <source>Memory</source>
        <translation>Speicher</translation>
    </message>
    <message>
        <source>Speed of the reply</source>
        <translation>Tempo der Antwort</translation>
    </message>
    <message>
        <source>Last reply</source>
        <translation>Letzte Antwort</translation>
    </message>
    <message>
        <source>Computer</source>
        <translation>Computer</translation>
    </message>
    <message>
        <source>{name}  {used} / {total} GB</source>
        <translation>{name}  {used} / {total} GB</translation>
    </message>
    <message>
        <source>CPU {share} % · Engine {ram} GB</source>
        <translation>CPU {share} % · Engine {ram} GB</translation>
    </message>
    <message numerus="yes">
        <source>first token {ms} ms · %n reused</source>
        <translation>
            <numerusform>erstes Token {ms} ms · %n weiterverwendet</numerusform>
            <numerusform>erstes Token {ms} ms · %n weiterverwendet</numerusform>
        </translation>
    </message>
    <message>
        <source>tokens/s</source>
        <translation>Token/s</translation>
    </message>
</context>
<context>
    <name>StatusPopover</name>
    <message>
        <source>Copy report</source>
        <translation>Bericht kopieren</translation>
    </message>
    <message>
        <source>Technical details</source>
        <translation>Technische Einzelheiten</translation>
    </message>
    <message>
        <source>Asked for</source>
        <translation>Verlangt</translation>
    </message>
    <message>
        <source>Chosen</source>
        <translation>Gewählt</translation>
    </message>
    <message>
        <source>Seen running</source>
        <translation>Beobachtet</translation>
    </message>
    <message>
        <source>Reading</source>
        <translation>Lesen</translation>
    </message>
    <message>
        <source>Writing</source>
        <translation>Schreiben</translation>
    </message>
    <message>
        <source>Load a model to see which attention kernel it runs.</source>
        <translation>Laden Sie ein Modell, um zu sehen, welcher Attention-Kernel läuft.</translation>
    </message>
    <message>
        <source>The model is ready. A short run shows which kernels it really uses.</source>
        <translation>Das Modell ist bereit. Ein kurzer Lauf zeigt, welche Kernel es wirklich verwendet.</translation>
    </message>
    <message>
        <source>Checked against float32: error {error}.</source>
        <translation>Geprüft gegen float32: Fehler {error}.</translation>
    </message>
</context>
<context>
    <name>StoreChanges</name>
    <message>
        <source>the new name of a chat</source>
        <translation>der neue Name eines Chats</translation>
    </message>
    <message>
        <source>a pinned chat</source>
        <translation>ein angehefteter Chat</translation>
    </message>
    <message>
        <source>the folder of a chat</source>
        <translation>der Ordner eines Chats</translation>
    </message>
    <message>
        <source>the settings of a chat</source>
        <translation>die Einstellungen eines Chats</translation>
    </message>
    <message>
        <source>the deletion of a chat</source>
        <translation>das Löschen eines Chats</translation>
    </message>
    <message>
        <source>a restored chat</source>
        <translation>ein zurückgeholter Chat</translation>
    </message>
    <message>
        <source>a reply</source>
        <translation>eine Antwort</translation>
    </message>
</context>
<context>
    <name>StoreDatabase</name>
    <message>
        <source>Nothing will be saved</source>
        <translation>Nichts wird gespeichert</translation>
    </message>
    <message>
        <source>The folder {parent} cannot be made: {strerror}. Check its permissions. What is new is saved as soon as it can be made, and lost if Hearth ends before.</source>
        <translation>Der Ordner {parent} lässt sich nicht anlegen: {strerror}. Prüfen Sie seine Rechte. Neues wird gespeichert, sobald das geht, und ist verloren, wenn Hearth vorher beendet wird.</translation>
    </message>
    <message>
        <source>A newer version of Hearth wrote {path}. The file stays as it is, and your chats are shown as far as this version can read them. Install that version again: what you write in this one is lost when Hearth ends.</source>
        <translation>{path} stammt aus einer neueren Version von Hearth. Die Datei bleibt, wie sie ist, und Ihre Chats werden gezeigt, soweit diese Version sie lesen kann. Installieren Sie jene Version wieder: Was Sie in dieser schreiben, ist verloren, wenn Hearth beendet wird.</translation>
    </message>
    <message>
        <source>Your chats are to be brought to this version of Hearth, and the copy that is made before cannot be written: {copy}: {strerror}. Check the permissions of its folder. Until then nothing is saved.</source>
        <translation>Ihre Chats sollen auf diese Version von Hearth gebracht werden, und die Kopie, die vorher angelegt wird, lässt sich nicht schreiben: {copy}: {strerror}. Prüfen Sie die Rechte des Ordners. Bis dahin wird nichts gespeichert.</translation>
    </message>
</context>
<context>
    <name>StoreErrors</name>
    <message>
        <source>Your chats cannot be saved</source>
        <translation>Ihre Chats können nicht gespeichert werden</translation>
    </message>
    <message>
        <source>This chat is no longer in the database: another window or program deleted it. What is on screen can still be copied; begin a new chat to write on.</source>
        <translation>Dieser Chat ist nicht mehr in der Datenbank: Ein anderes Fenster oder Programm hat ihn gelöscht. Was zu sehen ist, lässt sich noch kopieren; beginnen Sie einen neuen Chat, um weiterzuschreiben.</translation>
    </message>
    <message>
        <source>This chat was deleted elsewhere</source>
        <translation>Dieser Chat wurde anderswo gelöscht</translation>
    </message>
    <message>
        <source>Your chats are locked</source>
        <translation>Ihre Chats sind gesperrt</translation>
    </message>
    <message>
        <source>Another program holds {path} locked.</source>
        <translation>Ein anderes Programm hält {path} gesperrt.</translation>
    </message>
    <message>
        <source>When the lock ends, what is new is saved, and what cannot be read now is shown. If it does not end, close that program: a backup, a database tool or another window of Hearth.</source>
        <translation>Endet die Sperre, wird Neues gespeichert und gezeigt, was jetzt nicht lesbar ist. Endet sie nicht, schließen Sie jenes Programm: eine Datensicherung, ein Datenbankwerkzeug oder ein anderes Fenster von Hearth.</translation>
    </message>
    <message>
        <source>Your chats are damaged</source>
        <translation>Ihre Chats sind beschädigt</translation>
    </message>
    <message>
        <source>Something in {path} is not as SQLite wrote it.</source>
        <translation>Etwas in {path} ist nicht so, wie SQLite es geschrieben hat.</translation>
    </message>
    <message>
        <source>The file is left as it is. Put a copy of yours in its place, or start Hearth again: it reads what can still be read into a new file and keeps this one beside it.</source>
        <translation>Die Datei bleibt, wie sie ist. Setzen Sie eine Sicherung an ihre Stelle, oder starten Sie Hearth neu: Es liest das noch Lesbare in eine neue Datei und behält diese daneben.</translation>
    </message>
    <message>
        <source>{path} cannot be used.</source>
        <translation>{path} lässt sich nicht verwenden.</translation>
    </message>
    <message>
        <source>What is new is kept here, and saving it is tried again each second.</source>
        <translation>Neues bleibt hier, und das Speichern wird jede Sekunde wieder versucht.</translation>
    </message>
    <message>
        <source>The disk is full</source>
        <translation>Der Datenträger ist voll</translation>
    </message>
    <message>
        <source>There is no room left for {path}.</source>
        <translation>Für {path} ist kein Platz mehr.</translation>
    </message>
    <message>
        <source>Free some space on that disk: what is new is kept here and saved as soon as it fits.</source>
        <translation>Schaffen Sie Platz auf diesem Datenträger: Neues bleibt hier und wird gespeichert, sobald es passt.</translation>
    </message>
    <message>
        <source>Your chats are read-only</source>
        <translation>Ihre Chats sind schreibgeschützt</translation>
    </message>
    <message>
        <source>{path} or its folder may be read but not written.</source>
        <translation>{path} oder der Ordner darf gelesen, aber nicht beschrieben werden.</translation>
    </message>
    <message>
        <source>Nothing will be saved until you allow writing to both; what is new is kept here until then, and lost if Hearth ends before.</source>
        <translation>Gespeichert wird erst, wenn Sie das Schreiben in beide erlauben; Neues bleibt bis dahin hier und ist verloren, wenn Hearth vorher beendet wird.</translation>
    </message>
    <message>
        <source>Your chats may not be opened</source>
        <translation>Ihre Chats dürfen nicht geöffnet werden</translation>
    </message>
    <message>
        <source>The system does not allow access to {path}.</source>
        <translation>Das System erlaubt den Zugriff auf {path} nicht.</translation>
    </message>
    <message>
        <source>Check the permissions of the file and its folder. What is new is saved then, and lost if Hearth ends before.</source>
        <translation>Prüfen Sie die Rechte der Datei und ihres Ordners. Neues wird dann gespeichert und ist verloren, wenn Hearth vorher beendet wird.</translation>
    </message>
    <message>
        <source>Your chats cannot be opened</source>
        <translation>Ihre Chats können nicht geöffnet werden</translation>
    </message>
    <message>
        <source>{path} cannot be opened or made.</source>
        <translation>{path} lässt sich weder öffnen noch anlegen.</translation>
    </message>
    <message>
        <source>Check that it is a file, not a folder, that its folder is there, and that you may write to both. What is new is saved then, and lost if Hearth ends before.</source>
        <translation>Prüfen Sie, ob es eine Datei und kein Ordner ist, ob der Ordner da ist und ob Sie in beide schreiben dürfen. Neues wird dann gespeichert und ist verloren, wenn Hearth vorher beendet wird.</translation>
    </message>
    <message>
        <source>The disk reported an error</source>
        <translation>Der Datenträger hat einen Fehler gemeldet</translation>
    </message>
    <message>
        <source>Reading or writing {path} failed.</source>
        <translation>Das Lesen oder Schreiben von {path} ist fehlgeschlagen.</translation>
    </message>
    <message>
        <source>Check that disk. What is new is kept here, and saving it is tried again each second.</source>
        <translation>Prüfen Sie diesen Datenträger. Neues bleibt hier, und das Speichern wird jede Sekunde wieder versucht.</translation>
    </message>
    <message>
        <source>A text is too long to be saved</source>
        <translation>Ein Text ist zu lang zum Speichern</translation>
    </message>
    <message>
        <source>It has more bytes than a row of {path} can hold.</source>
        <translation>Er hat mehr Bytes, als eine Zeile von {path} fassen kann.</translation>
    </message>
    <message>
        <source>Send it in parts.</source>
        <translation>Senden Sie ihn in Teilen.</translation>
    </message>
    <message>
        <source>The database in memory</source>
        <translation>Die Datenbank im Arbeitsspeicher</translation>
    </message>
    <message>
        <source>{happened} {to_do} (SQLite: {error}, {name}.)</source>
        <translation>{happened} {to_do} (SQLite: {error}, {name}.)</translation>
    </message>
</context>
<context>
    <name>StoreHome</name>
    <message>
        <source>{path} is damaged, and no new file can be put in its place: {strerror}. Check the permissions of its folder.</source>
        <translation>{path} ist beschädigt, und an der Stelle lässt sich keine neue Datei anlegen: {strerror}. Prüfen Sie die Rechte des Ordners.</translation>
    </message>
</context>
<context>
    <name>StoreKeeper</name>
    <message>
        <source>Your chats are saved again</source>
        <translation>Ihre Chats werden wieder gespeichert</translation>
    </message>
    <message>
        <source>Nothing is missing from the file now.</source>
        <translation>In der Datei fehlt jetzt nichts.</translation>
    </message>
    <message>
        <source>Quit without saving?</source>
        <translation>Beenden, ohne zu speichern?</translation>
    </message>
    <message>
        <source>Not saved yet: {unsaved}. {shown}</source>
        <translation>Noch nicht gespeichert: {unsaved}. {shown}</translation>
    </message>
    <message>
        <source>Saving is tried again each second while Hearth is open.</source>
        <translation>Solange Hearth offen ist, wird das Speichern jede Sekunde wieder versucht.</translation>
    </message>
    <message>
        <source>Quit without saving</source>
        <translation>Ohne Speichern beenden</translation>
    </message>
</context>
<context>
    <name>StoreRecords</name>
    <message>
        <source>Chat without a name</source>
        <translation>Chat ohne Namen</translation>
    </message>
</context>
<context>
    <name>StoreSaving</name>
    <message>
        <source>Another file was put in the place of the one that was open.</source>
        <translation>An die Stelle der geöffneten Datei wurde eine andere gesetzt.</translation>
    </message>
    <message>
        <source>A new file is in the place of one that was damaged.</source>
        <translation>An der Stelle einer beschädigten Datei ist eine neue.</translation>
    </message>
    <message>
        <source>{path} was deleted while Hearth was open. What this window still had is in a new file there: {copied}.{left_out}</source>
        <translation>{path} wurde gelöscht, während Hearth offen war. Was dieses Fenster noch hatte, ist dort in einer neuen Datei: {copied}.{left_out}</translation>
    </message>
    <message>
        <source>Your chats were deleted from the disk</source>
        <translation>Ihre Chats wurden vom Datenträger gelöscht</translation>
    </message>
    <message>
        <source>Another file was put in the place of {path} while Hearth was open. What this window had and that file had not was added to it: {copied} are there now.{left_out}</source>
        <translation>An die Stelle von {path} wurde eine andere Datei gesetzt, während Hearth offen war. Was dieses Fenster hatte und jene Datei nicht, wurde ergänzt: Jetzt sind dort {copied}.{left_out}</translation>
    </message>
    <message>
        <source>Your chats were replaced on the disk</source>
        <translation>Ihre Chats wurden auf dem Datenträger ersetzt</translation>
    </message>
    <message>
        <source>{path} was damaged. What could be read is in a new file: {copied}.{left_out} The damaged file is kept: {kept}. If you have a copy of your chats, close Hearth and put it in the place of the new file.</source>
        <translation>{path} war beschädigt. Was lesbar war, ist in einer neuen Datei: {copied}.{left_out} Die beschädigte Datei bleibt erhalten: {kept}. Haben Sie eine Sicherung Ihrer Chats, schließen Sie Hearth, und setzen Sie sie an die Stelle der neuen Datei.</translation>
    </message>
    <message>
        <source>Your chats were damaged</source>
        <translation>Ihre Chats waren beschädigt</translation>
    </message>
    <message>
        <source>no chat</source>
        <translation>kein Chat</translation>
    </message>
    <message numerus="yes">
        <source>%n chats</source>
        <translation>
            <numerusform>%n Chat</numerusform>
            <numerusform>%n Chats</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n messages</source>
        <translation>
            <numerusform>%n Nachricht</numerusform>
            <numerusform>%n Nachrichten</numerusform>
        </translation>
    </message>
    <message>
        <source>{chats} with {messages}</source>
        <translation>{chats} mit {messages}</translation>
    </message>
    <message numerus="yes">
        <source> %n more entries could not be read.</source>
        <translation>
            <numerusform> %n weiterer Eintrag war nicht lesbar.</numerusform>
            <numerusform> %n weitere Einträge waren nicht lesbar.</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>TableBlock</name>
    <message>
        <source>Table</source>
        <translation>Tabelle</translation>
    </message>
</context>
<context>
    <name>TextBlock</name>
    <message>
        <source>You wrote</source>
        <translation>Sie schrieben</translation>
    </message>
    <message>
        <source>Thinking</source>
        <translation>Gedanken</translation>
    </message>
    <message>
        <source>Reply</source>
        <translation>Antwort</translation>
    </message>
</context>
<context>
    <name>Transcript</name>
    <message>
        <source>Conversation</source>
        <translation>Gespräch</translation>
    </message>
    <message>
        <source>Copy</source>
        <translation>Kopieren</translation>
    </message>
    <message>
        <source>Copy as Markdown</source>
        <translation>Als Markdown kopieren</translation>
    </message>
    <message>
        <source>Select all</source>
        <translation>Alles auswählen</translation>
    </message>
    <message>
        <source>Copy the reply as text</source>
        <translation>Antwort als Text kopieren</translation>
    </message>
    <message>
        <source>Copy the reply as Markdown</source>
        <translation>Antwort als Markdown kopieren</translation>
    </message>
    <message>
        <source>Show the reply</source>
        <translation>Antwort anzeigen</translation>
    </message>
    <message>
        <source>View source</source>
        <translation>Quelltext anzeigen</translation>
    </message>
    <message>
        <source>Go on with the reply</source>
        <translation>Antwort fortsetzen</translation>
    </message>
    <message>
        <source>Write again with</source>
        <translation>Neu schreiben mit</translation>
    </message>
</context>
<context>
    <name>Trash</name>
    <message>
        <source>Trash</source>
        <translation>Papierkorb</translation>
    </message>
    <message>
        <source>Chats in the trash</source>
        <translation>Chats im Papierkorb</translation>
    </message>
    <message>
        <source>The trash is empty.</source>
        <translation>Der Papierkorb ist leer.</translation>
    </message>
    <message>
        <source>Take out again</source>
        <translation>Zurückholen</translation>
    </message>
    <message>
        <source>Delete for good</source>
        <translation>Endgültig löschen</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <source>Chats are kept here for 30 days.</source>
        <translation>Chats bleiben hier 30 Tage lang.</translation>
    </message>
</context>
<context>
    <name>UnseenLine</name>
    <message>
        <source>The model no longer sees what is above</source>
        <translation>Was darüber steht, sieht das Modell nicht mehr</translation>
    </message>
    <message>
        <source>Undo</source>
        <translation>Rückgängig</translation>
    </message>
    <message>
        <source>Let the model see the whole chat again</source>
        <translation>Das Modell wieder den ganzen Chat sehen lassen</translation>
    </message>
</context>
<context>
    <name>Upgrade</name>
    <message>
        <source>Your chats are being brought to this version of Hearth. A copy of them is made first. This happens once.</source>
        <translation>Ihre Chats werden auf diese Version von Hearth gebracht. Zuvor wird eine Kopie von ihnen gemacht. Das geschieht einmal.</translation>
    </message>
    <message>
        <source>Working</source>
        <translation>Arbeitet</translation>
    </message>
    <message>
        <source>One moment</source>
        <translation>Einen Augenblick</translation>
    </message>
</context>
<context>
    <name>Verdict</name>
    <message>
        <source>Checking attention</source>
        <translation>Attention wird geprüft</translation>
    </message>
    <message>
        <source>Attention is being checked</source>
        <translation>Die Attention wird geprüft</translation>
    </message>
    <message>
        <source>No model</source>
        <translation>Kein Modell</translation>
    </message>
    <message>
        <source>No model is loaded</source>
        <translation>Kein Modell ist geladen</translation>
    </message>
    <message>
        <source>Attention not observed</source>
        <translation>Attention nicht beobachtet</translation>
    </message>
    <message>
        <source>Which attention ran was not observed</source>
        <translation>Welche Attention lief, wurde nicht beobachtet</translation>
    </message>
    <message>
        <source>Replies are right all the same. Whether they are as quick as they can be is not known.</source>
        <translation>Die Antworten sind trotzdem richtig. Ob sie so schnell sind, wie sie sein können, ist nicht bekannt.</translation>
    </message>
    <message>
        <source>Attention not checked</source>
        <translation>Attention nicht geprüft</translation>
    </message>
    <message>
        <source>Attention could not be checked</source>
        <translation>Die Attention konnte nicht geprüft werden</translation>
    </message>
    <message>
        <source>Flash attention active</source>
        <translation>Flash-Attention aktiv</translation>
    </message>
    <message>
        <source>Flash attention is active</source>
        <translation>Flash-Attention ist aktiv</translation>
    </message>
    <message>
        <source>The GPU works by its fastest method. Long chats stay quick and need less memory.</source>
        <translation>Die GPU arbeitet mit ihrem schnellsten Verfahren. Lange Chats bleiben schnell und brauchen weniger Speicher.</translation>
    </message>
    <message>
        <source>Standard attention</source>
        <translation>Standard-Attention</translation>
    </message>
    <message>
        <source>Flash attention is off</source>
        <translation>Flash-Attention ist aus</translation>
    </message>
    <message>
        <source>The GPU works, but not by its fastest method. Short chats are as quick; long ones are read more slowly and need more memory.</source>
        <translation>Die GPU arbeitet, aber nicht mit ihrem schnellsten Verfahren. Kurze Chats sind ebenso schnell; lange werden langsamer gelesen und brauchen mehr Speicher.</translation>
    </message>
    <message>
        <source>Flash attention is off: this model runs on the {name}</source>
        <translation>Flash-Attention ist aus: Dieses Modell läuft auf: {name}</translation>
    </message>
    <message>
        <source>Flash attention works on NVIDIA GPUs. Here each reply runs by the quickest method there is, at the speed of this device.</source>
        <translation>Flash-Attention gibt es auf NVIDIA-GPUs. Hier entsteht jede Antwort mit dem schnellsten Verfahren, das es gibt, im Tempo dieses Geräts.</translation>
    </message>
    <message>
        <source>The weights stay as they are in the file ({held}): {held_size} in place of {size}.</source>
        <translation>Die Gewichte bleiben, wie sie in der Datei stehen ({held}): {held_size} statt {size}.</translation>
    </message>
</context>
<context>
    <name>VersionSwitch</name>
    <message>
        <source>Show the version before</source>
        <translation>Vorige Fassung anzeigen</translation>
    </message>
    <message>
        <source>Show the next version</source>
        <translation>Nächste Fassung anzeigen</translation>
    </message>
    <message>
        <source>Version {which} of {count}</source>
        <translation>Fassung {which} von {count}</translation>
    </message>
</context>
<context>
    <name>WayBack</name>
    <message>
        <source>Go to the end of the conversation</source>
        <translation>Zum Ende des Gesprächs</translation>
    </message>
    <message>
        <source>Go to the end (End)</source>
        <translation>Zum Ende (Ende)</translation>
    </message>
    <message>
        <source>Writing</source>
        <translation>Schreibt</translation>
    </message>
    <message>
        <source>To the end</source>
        <translation>Zum Ende</translation>
    </message>
</context>
<context>
    <name>Welcome</name>
    <message>
        <source>Explain how a rainbow forms to a ten-year-old</source>
        <translation>Erkläre einem zehnjährigen Kind, wie ein Regenbogen entsteht</translation>
    </message>
    <message>
        <source>Write a short letter asking a landlord to fix the heating</source>
        <translation>Schreibe einen kurzen Brief an die Vermieterin, damit sie die Heizung reparieren lässt</translation>
    </message>
    <message>
        <source>Give me five ideas for a rainy Sunday</source>
        <translation>Nenne mir fünf Ideen für einen verregneten Sonntag</translation>
    </message>
    <message>
        <source>What would you like to know?</source>
        <translation>Was möchten Sie wissen?</translation>
    </message>
    <message>
        <source>Everything runs on this computer. What you write stays here.</source>
        <translation>Alles läuft auf diesem Computer. Was Sie schreiben, bleibt hier.</translation>
    </message>
    <message>
        <source>You are trying a demo model</source>
        <translation>Sie probieren ein Demomodell aus</translation>
    </message>
    <message>
        <source>{name} is very small: it answers at once and is often wrong. Other models answer better.</source>
        <translation>{name} ist sehr klein: Es antwortet sofort und irrt sich oft. Andere Modelle antworten besser.</translation>
    </message>
    <message>
        <source>Choose a model</source>
        <translation>Modell wählen</translation>
    </message>
    <message>
        <source>A folder with safetensors files, or a GGUF file. It stays where it is.</source>
        <translation>Ein Ordner mit safetensors-Dateien oder eine GGUF-Datei. Alles bleibt, wo es ist.</translation>
    </message>
    <message>
        <source>{name} is ready.</source>
        <translation>{name} ist bereit.</translation>
    </message>
    <message>
        <source>{name} could not be loaded.</source>
        <translation>{name} konnte nicht geladen werden.</translation>
    </message>
    <message>
        <source>No model is loaded.</source>
        <translation>Kein Modell ist geladen.</translation>
    </message>
    <message>
        <source>Choose a model…</source>
        <translation>Modell wählen …</translation>
    </message>
</context>
<context>
    <name>Window</name>
    <message>
        <source>Nothing will be saved</source>
        <translation>Nichts wird gespeichert</translation>
    </message>
    <message>
        <source>Name of the folder</source>
        <translation>Name des Ordners</translation>
    </message>
    <message>
        <source>Move there</source>
        <translation>Dorthin verschieben</translation>
    </message>
    <message>
        <source>Something went wrong in the window</source>
        <translation>Im Fenster ist etwas schiefgegangen</translation>
    </message>
    <message>
        <source>{where}. Your chats are kept.</source>
        <translation>{where}. Ihre Chats bleiben erhalten.</translation>
    </message>
    <message>
        <source>If it does not go on, close Hearth and open it again; please report this line.</source>
        <translation>Geht es nicht weiter, schließen Sie Hearth, und öffnen Sie es wieder; bitte melden Sie diese Zeile.</translation>
    </message>
</context>
</TS>
