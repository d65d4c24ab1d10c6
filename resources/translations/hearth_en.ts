<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="en" sourcelanguage="en">
<context>
    <name>Banner</name>
    <message numerus="yes">
        <source>%n more</source>
        <translation>
            <numerusform>%n more</numerusform>
            <numerusform>%n more</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>ChatFiles</name>
    <message numerus="yes">
        <source>Export %n chats</source>
        <translation>
            <numerusform>Export %n chat</numerusform>
            <numerusform>Export %n chats</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n chats</source>
        <translation>
            <numerusform>%n chat</numerusform>
            <numerusform>%n chats</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>Imported %n chats from {name}</source>
        <translation>
            <numerusform>Imported %n chat from {name}</numerusform>
            <numerusform>Imported %n chats from {name}</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>ChatList</name>
    <message numerus="yes">
        <source>Export %n chats…</source>
        <translation>
            <numerusform>Export %n chat…</numerusform>
            <numerusform>Export %n chats…</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>Move %n chats to the trash</source>
        <translation>
            <numerusform>Move %n chat to the trash</numerusform>
            <numerusform>Move %n chats to the trash</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>Chats</name>
    <message numerus="yes">
        <source>Moved %n chats to the trash</source>
        <translation>
            <numerusform>Moved %n chat to the trash</numerusform>
            <numerusform>Moved %n chats to the trash</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>ContextCard</name>
    <message numerus="yes">
        <source>This no longer fits: %n tokens too many</source>
        <translation>
            <numerusform>This no longer fits: %n token too many</numerusform>
            <numerusform>This no longer fits: %n tokens too many</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n tokens of context</source>
        <translation>
            <numerusform>%n token of context</numerusform>
            <numerusform>%n tokens of context</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>Leave out the %n oldest turns</source>
        <translation>
            <numerusform>Leave out the oldest turn</numerusform>
            <numerusform>Leave out the %n oldest turns</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n tokens freed</source>
        <translation>
            <numerusform>%n token freed</numerusform>
            <numerusform>%n tokens freed</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>Back to the box. It may have %n tokens.</source>
        <translation>
            <numerusform>Back to the box. It may have %n token.</numerusform>
            <numerusform>Back to the box. It may have %n tokens.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n tokens to cut</source>
        <translation>
            <numerusform>%n token to cut</numerusform>
            <numerusform>%n tokens to cut</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n tokens, if the memory suffices for them.</source>
        <translation>
            <numerusform>%n token, if the memory suffices for them.</numerusform>
            <numerusform>%n tokens, if the memory suffices for them.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n tokens more</source>
        <translation>
            <numerusform>%n token more</numerusform>
            <numerusform>%n tokens more</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>NumberFormat</name>
    <message numerus="yes">
        <source>%n bytes</source>
        <translation>
            <numerusform>%n byte</numerusform>
            <numerusform>%n bytes</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>Pasted</name>
    <message numerus="yes">
        <source>%n characters</source>
        <translation>
            <numerusform>%n character</numerusform>
            <numerusform>%n characters</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>Plain</name>
    <message numerus="yes">
        <source>… (%n more characters)</source>
        <translation>
            <numerusform>… (%n more character)</numerusform>
            <numerusform>… (%n more characters)</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>ReplyRows</name>
    <message numerus="yes">
        <source>%n tokens</source>
        <translation>
            <numerusform>%n token</numerusform>
            <numerusform>%n tokens</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n of them thought</source>
        <translation>
            <numerusform>%n of them thought</numerusform>
            <numerusform>%n of them thought</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>{reused} of %n prompt tokens</source>
        <translation>
            <numerusform>{reused} of %n prompt token</numerusform>
            <numerusform>{reused} of %n prompt tokens</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>SearchResults</name>
    <message numerus="yes">
        <source>%n+ hits</source>
        <translation>
            <numerusform>%n+ hits</numerusform>
            <numerusform>%n+ hits</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n hits</source>
        <translation>
            <numerusform>%n hit</numerusform>
            <numerusform>%n hits</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>{found} in %n chats</source>
        <translation>
            <numerusform>{found} in %n chat</numerusform>
            <numerusform>{found} in %n chats</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>StatusLine</name>
    <message numerus="yes">
        <source>first token {ms} ms · %n reused</source>
        <translation>
            <numerusform>first token {ms} ms · %n reused</numerusform>
            <numerusform>first token {ms} ms · %n reused</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>StoreSaving</name>
    <message numerus="yes">
        <source>%n chats</source>
        <translation>
            <numerusform>%n chat</numerusform>
            <numerusform>%n chats</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n messages</source>
        <translation>
            <numerusform>%n message</numerusform>
            <numerusform>%n messages</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source> %n more entries could not be read.</source>
        <translation>
            <numerusform> %n more entry could not be read.</numerusform>
            <numerusform> %n more entries could not be read.</numerusform>
        </translation>
    </message>
</context>
</TS>
