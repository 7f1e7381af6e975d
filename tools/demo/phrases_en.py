# ruff: noqa: E501
"""The English phrase bank."""

from __future__ import annotations

from tools.demo.bank import Bank, lines, topic

_TOPICS = (
    topic(
        "job_loss",
        """
        things: losing your job / being laid off / the layoff
        words: laid off / fired / unemployed / dismissed / redundancy / lost job / severance / made redundant / let go / out of work
        hints: I lost my job. / I'm out of work and I don't know what to do. / I got laid off and I can't stop thinking about it.
        events: I was laid off {ago} after {span} at the company / I lost my job as a {job} {ago} / my boss {name} fired me {ago} without a real reason
        the company closed my department {ago} and I was let go / my contract ended {ago} and nobody called me back
        hard: the rent is due and my savings are almost gone / I have sent dozens of applications and heard nothing / I haven't told my family yet
        I pretend to go to work every morning / everybody asks what I do now
        feels: ashamed / worthless / scared / lost
        steps: write down three things you did well in that job / ask one former colleague for a reference / make a simple budget for the next two months
        send one application a day and then stop / register at the job office this week / tell one person in your family the truth
        asks: What did that job mean to you? / Who have you told about the layoff? / How do your days look without work?
        mirrors: your work was a big part of who you are / you miss the place you had every morning / the money worries come on top of the hurt
    """,
    ),
    topic(
        "work_stress",
        """
        things: the pressure at work / all this overtime / the stress in your job
        words: overtime / deadline / workload / manager / boss / burnout / burned out / pressure at work / colleagues / night shifts / promotion
        hints: Work is eating me up. / I dread going to work. / My job has become too much for me.
        events: I have worked overtime every day for {span} / my manager {name} shouted at me in a meeting {ago} / I took over the work of two people {ago}
        a colleague took the credit for my project {ago} / I was passed over for promotion {ago}
        hard: I can't say no to my boss / even on Sundays I check my messages / I am so tired that I snap at my children / I can't quit because we need the money
        my heart races when the phone rings
        feels: exhausted / angry / anxious / trapped
        steps: turn the work phone off after eight / write a list of tasks and ask your boss what can wait / take a real lunch break away from the desk
        block one evening a week for yourself / note the hours you work for a week / talk to the works council or HR
        asks: When did the work become too much? / What would happen if you said no once? / Who at work is on your side?
        mirrors: you give more than one person can give / nobody at work sees how much you do / work follows you home every night
    """,
    ),
    topic(
        "breakup",
        """
        things: the breakup / losing this love / the end of your relationship
        words: breakup / broke up / ex / girlfriend / boyfriend / relationship ended / left / dumped / partner / get back together
        hints: My relationship just ended. / I can't get over my ex. / We broke up and I feel awful.
        events: {name} left me {ago} after {span} together / my girlfriend {name} broke up with me {ago} / my boyfriend {name} ended it {ago} by text message
        we broke up {ago} after {span} / {name} moved out {ago} and took the dog
        hard: I look at the old photos every night / I still sleep on my side of the bed / all our friends are shared friends / I keep writing messages that I don't send
        I heard there is already someone new
        feels: heartbroken / lonely / empty / rejected
        steps: put the photos in a box for a while / mute your ex for one month / plan one thing for Saturday evening with a friend
        write the letter and keep it in a drawer / go for a walk when the urge to text comes / move the furniture in the bedroom
        asks: What do you miss the most about your ex? / How did the two of you part? / What were you like before this relationship?
        mirrors: you lost a partner and also a daily life / part of you is still waiting for a message / the bed and the photos keep the wound open
    """,
    ),
    topic(
        "marriage",
        """
        things: the trouble in your marriage / these fights with your partner / the talk of divorce
        words: marriage / husband / wife / divorce / spouse / argue / fights / separated / custody / couple
        hints: My marriage is falling apart. / My partner and I fight all the time. / I don't know if my marriage can be saved.
        events: my husband {name} asked for a divorce {ago} / my wife {name} has slept in the other room for {span} / we have argued every night for {span}
        I found out {ago} that {name} wants to move out / we stopped talking to each other {ago}
        hard: the children hear everything / we only talk about bills / I don't know where I would live / I still love the person I married
        my family says I should just endure it
        feels: hurt / confused / lonely / resentful
        steps: agree on one evening without talk about problems / write down what you need in two sentences / ask for one session with a couples counsellor
        leave the room when the voices get loud / tell the children that it is not their fault / see a lawyer once just to know your rights
        asks: What do the fights begin with? / When did you last feel close? / What would you want the marriage to be like?
        mirrors: you live side by side but not together / you are tired of fighting and still afraid to lose it / you try to protect the children from the noise
    """,
    ),
    topic(
        "inlaws",
        """
        things: the trouble with your in-laws / living with your mother-in-law / this tension in the family
        words: mother-in-law / father-in-law / in-laws / daughter-in-law / sister-in-law / husband's family / wife's parents / lives with us / interferes
        hints: My in-laws are driving me crazy. / It's about my mother-in-law. / I can't stand living with my in-laws any more.
        events: my mother-in-law moved in with us {ago} and has run the house for {span} / my mother-in-law told the whole family {ago} that I am a bad cook
        my in-laws decided {ago} how our baby should be raised / my father-in-law has criticised me for {span} / my mother-in-law opened my letters {ago}
        hard: my partner always takes their side / I have no room of my own / I have to smile at every dinner / if I say something there is a scene
        they help us with money, so I keep quiet
        feels: angry / powerless / unwelcome / suffocated
        steps: agree with your partner on one rule for the house / ask your partner to speak to his mother first / keep one room with a closed door
        spend one Sunday a month without the family / say calmly what you will do yourself / thank her for one thing and set one limit
        asks: What does your partner say when they criticise you? / Which of their habits hurts the most? / What would a good week at home look like?
        mirrors: you feel like a guest in your own home / you stand alone when your partner stays silent / you keep the peace and pay for it
    """,
    ),
    topic(
        "parents",
        """
        things: the conflict with your parents / what your parents expect / the distance to your parents
        words: parents / mother / father / mom / dad / strict / control / expectations / favourite / siblings / childhood
        hints: I can't talk to my parents. / My parents don't accept me. / It's about my family, mostly my mother.
        events: my father has not spoken to me for {span} / my mother read my diary {ago} / my parents told me {ago} that I am a disappointment
        I had a terrible fight with my father {ago} / my parents chose my brother {name} over me {ago}
        hard: nothing I do is ever enough / they compare me with my cousin {name} / I can't move out yet / I cry after every phone call
        they never asked what I want
        feels: hurt / guilty / angry / unloved
        steps: choose one topic that you will not discuss at dinner / write them a short letter / call at a fixed time and end after ten minutes
        ask an aunt or uncle to mediate / say one sentence about what you need / look for a room of your own step by step
        asks: What would you like your parents to understand? / How was it when you were a child? / What happens after a fight with them?
        mirrors: you still hope that they will see you / their words stay with you for days / you are grown up and yet feel small with them
    """,
    ),
    topic(
        "grief",
        """
        things: losing someone you love / this loss / your grief
        words: died / death / passed away / funeral / grief / widow / mourning / cancer / lost my mother / deceased / anniversary
        hints: Someone I love died. / I can't cope with a loss. / I miss someone who is gone.
        events: my mother died {ago} / my husband {name} passed away {ago} after {span} of illness / my brother {name} died in an accident {ago}
        my grandmother who raised me died {ago} / my best friend {name} died {ago} and I was not there
        hard: the chair in the kitchen is empty / I still set the table for two / people say that it is time to move on / I never said goodbye
        I can't open the wardrobe
        feels: sad / empty / guilty / numb
        steps: light a candle in the evening and say what you miss / write down one memory a day / visit the grave with someone you trust
        ask a friend to sort the clothes with you / look for a grief group near you / keep one object on your desk
        asks: What was she or he like? / Which moment of the day is the hardest? / What would you still like to say?
        mirrors: the house is full of someone who is gone / others move on while your time stands still / you wish you had been there
    """,
    ),
    topic(
        "pet",
        """
        things: losing your pet / the death of your dog / missing your cat
        words: dog / cat / pet / vet / put to sleep / rabbit / animal / leash / puppy
        hints: My dog is gone. / I lost my pet and nobody understands. / It's about my cat.
        events: my dog {name} died {ago} after {span} with me / my cat {name} ran away {ago} / the vet put my old dog {name} to sleep {ago}
        my cat {name} was hit by a car {ago} / I had to give my dog {name} away {ago}
        hard: everyone says it was only an animal / the bowl is still in the kitchen / I hear paws in the hall at night / I keep thinking I decided too early
        I come home and nobody waits
        feels: sad / lonely / guilty / empty
        steps: make a small album with the best photos / plant something in the garden / put the bowl away when you are ready
        talk to someone who also lost a pet / walk the old way once more / thank the vet and ask your open question
        asks: What was your pet like? / How did the last day go? / What did you do together every day?
        mirrors: for you it was family and not only an animal / the quiet in the flat hurts / you still ask whether you did the right thing
    """,
    ),
    topic(
        "exams",
        """
        things: the exam / failing the exam / the pressure to study
        words: exam / test / grades / student / failed / studying / university / school / entrance exam / thesis / dissertation / homework
        hints: I'm so afraid of my exam. / I failed an exam. / I can't study any more.
        events: I failed my final exam {ago} / I have studied for the entrance exam for {span} / my grades have dropped since {ago}
        I froze in the middle of the exam {ago} / my supervisor {name} rejected my thesis {ago}
        hard: my parents paid so much for it / all my classmates passed / I read the same page ten times / I can't sleep before a test
        there is only one more try
        feels: anxious / stupid / ashamed / overwhelmed
        steps: study in blocks of twenty-five minutes / solve one old exam under real conditions / ask the teacher which chapter matters most
        make a plan with one free day / learn with one classmate on Tuesdays / pack your bag and go to bed at ten before the test
        asks: What goes through your head in the exam? / Which subject worries you the most? / What would failing mean to you?
        mirrors: you work hard and your mind goes blank / you carry the hopes of your parents into the exam / you measure yourself against everybody who passed
    """,
    ),
    topic(
        "loneliness",
        """
        things: feeling so alone / the loneliness / being new in the city
        words: lonely / alone / no friends / isolated / moved / new city / abroad / nobody to talk to / weekends / silence
        hints: I feel so alone. / I have nobody to talk to. / I moved to a new city and I don't know anyone.
        events: I moved here alone {ago} / my only friend {name} moved away {ago} / I have eaten dinner alone for {span}
        I started a new life in this city {ago} and still know nobody / nobody called on my birthday {ago}
        hard: the weekends are endless / I talk only to the cashier / online everyone has company / I don't know how to begin a conversation
        when I am ill nobody notices
        feels: lonely / invisible / sad / homesick
        steps: go to the same cafe at the same hour each week / join one course where people meet again / write to one old friend today
        say one sentence to a neighbour / volunteer for two hours on Saturday / call someone at home on Sundays
        asks: When do you feel the loneliness most? / What kind of people do you enjoy? / Who was the last person you laughed with?
        mirrors: you are among people and nobody sees you / the evenings are long and quiet / you would like someone to notice when you are missing
    """,
    ),
    topic(
        "friend",
        """
        things: the fight with your friend / losing this friendship / what your friend did
        words: friend / friendship / best friend / secret / betrayed / group / excluded / roommate / gossip / ignored
        hints: My best friend hurt me. / I lost a friend and I don't understand why. / My friends have left me out.
        events: my best friend {name} told everyone my secret {ago} / my friends went on a trip without me {ago} / {name} has ignored me for {span}
        I lent {name} money {ago} and now there is only silence / my roommate {name} talked behind my back {ago}
        hard: we see each other every day in class / I don't know what I did wrong / I can't trust anyone now / the others took sides
        I still look at our chat
        feels: betrayed / hurt / angry / left out
        steps: write what hurt you in three calm sentences / ask for a talk in a neutral place / give it two weeks before you decide
        spend time with someone outside the group / name one thing you would need for trust / let the chat rest for a few days
        asks: What was the friendship like before? / What would you like to hear from your friend? / How did the others react?
        mirrors: you trusted someone and it was used against you / you keep searching for your own mistake / you lost a friend and a whole group
    """,
    ),
    topic(
        "money",
        """
        things: the debts / these money worries / the unpaid bills
        words: debt / loan / money / bills / mortgage / credit card / rent / savings / bankrupt / lend / gambling / invested
        hints: I'm drowning in debt. / I don't know how to pay my bills. / It's about money, and I'm embarrassed.
        events: I lost all my savings {ago} / I took a loan for my brother {name} {ago} and he can't pay it back / I have been behind with the rent for {span}
        my shop went bankrupt {ago} / I was cheated out of my savings {ago} by a man called {name}
        hard: the bank calls every day / I hide the letters from my family / I can't buy shoes for my son / every month the hole gets deeper
        I lie awake and count
        feels: ashamed / scared / desperate / helpless
        steps: open all the letters and sort them by date / call a free debt adviser / ask the bank for a smaller monthly rate
        list what comes in and goes out / pay rent and power first / show the list to your partner
        asks: Since when have the debts been growing? / Who knows about the money? / Which bill scares you the most?
        mirrors: every letter feels like an accusation / you carry the debts in secret / you count at night instead of sleeping
    """,
    ),
    topic(
        "illness",
        """
        things: the illness / this diagnosis / caring for someone so ill
        words: illness / diagnosis / hospital / doctor / surgery / chronic / pain / sick / cancer / disease / caring for / dementia
        hints: I got a bad diagnosis. / Someone in my family is very ill. / I'm ill and I'm frightened.
        events: I was told {ago} that I have diabetes / my father has been in hospital for {span} / my daughter {name} got a serious diagnosis {ago}
        I had surgery {ago} and the pain has not stopped / I have cared for my mother with dementia for {span}
        hard: nobody can say how it will go on / I can't do my work as before / I smile for the others and cry in the bathroom / the nights are the worst
        I don't want to be a burden
        feels: scared / exhausted / helpless / sad
        steps: write your questions down before you see the doctor / ask a neighbour to take over one afternoon / keep a small diary of the pain
        look for a patients' group / rest for one hour without guilt / let your brother or sister do the shopping
        asks: What did the doctor say to you? / What helps on bad days? / Who cares for you?
        mirrors: you wait for news and can't plan anything / you care for everybody and nobody cares for you / your body feels like a stranger
    """,
    ),
    topic(
        "sleep",
        """
        things: the sleepless nights / these panic attacks / the worries at night
        words: sleep / insomnia / anxiety / panic / nightmares / worry / nervous / awake / restless / heart racing
        hints: I can't sleep any more. / I have panic attacks. / My head never stops at night.
        events: I have not slept through for {span} / I had a panic attack on the train {ago} / I have woken at three every night for {span}
        the nightmares came back {ago} / my heart raced in the supermarket {ago} and I ran out
        hard: I am afraid of going to bed / during the day I am like a ghost / I avoid the train and the shops / the doctor found nothing
        I worry about worrying
        feels: anxious / exhausted / scared / nervous
        steps: get up after twenty minutes and read something dull / breathe out longer than you breathe in / put the phone in the kitchen at ten
        write the worries on paper before bed / get up at the same time every day / ride the train for one stop with a friend
        asks: What do you think about when you lie awake? / When did the panic come first? / How are your evenings?
        mirrors: the night has become a place of fear / your body rings the alarm without a fire / you are tired and still can't let go
    """,
    ),
    topic(
        "self_worth",
        """
        things: doubting yourself / feeling not good enough / how you see yourself
        words: self-esteem / ugly / weight / worthless / shy / confidence / appearance / failure / comparing / not good enough / inferior
        hints: I hate how I look. / I feel like I'm never good enough. / I have no confidence.
        events: someone laughed at my body {ago} / I have avoided mirrors for {span} / a boy called {name} made fun of me {ago}
        I hid in the toilet at a party {ago} / I gave a talk {ago} and forgot every word
        hard: I compare myself with everyone / I can't believe a compliment / I say no to every invitation / I delete every photo of me
        I think people pity me
        feels: ashamed / worthless / insecure / small
        steps: write down one thing that went well today / answer a compliment with thank you / leave the accounts that make you feel small
        speak once in the next meeting / wear the thing that you like / talk to yourself as you would to a friend
        asks: Whose voice is it that says you are not enough? / When did you last like yourself? / What would a friend say about you?
        mirrors: there is a strict voice in your head / you see your faults and nothing else / you hide so that nobody can judge you
    """,
    ),
    topic(
        "parenting",
        """
        things: the trouble with your child / being a parent right now / the worries about your son
        words: son / daughter / child / teenager / baby / parent / single mother / school refuses / tantrum / phone games / raising
        hints: I don't know what to do with my son. / I feel like a bad parent. / It's about my daughter.
        events: my son {name} has refused to go to school for {span} / my daughter {name} ran away for a night {ago} / I shouted at my child {ago} and saw fear
        the teacher called me {ago} because {name} hit someone / my baby has cried every night for {span}
        hard: I am alone with everything / we only talk through the door / other parents look at me / I shout and then I am sorry
        my mother says I spoil the child
        feels: helpless / guilty / exhausted / worried
        steps: eat one meal together without phones / ask what was good today and only listen / speak to the school counsellor
        say sorry for the shouting / agree on one rule and keep it / let someone watch the child for an evening
        asks: What is your child like on good days? / How do you calm down after a fight? / What do you think your child needs?
        mirrors: you love your child and don't reach it / you ask yourself every night whether you failed / you do the work of two parents
    """,
    ),
    topic(
        "bullying",
        """
        things: being bullied / what they did to you / the way they treat you
        words: bullied / bullying / classmates / mocked / insulted / discrimination / racism / harassed / rumours / excluded / teased
        hints: I'm being bullied. / The others make fun of me. / People treat me like dirt.
        events: a group around {name} has mocked me for {span} / someone spread a rumour about me {ago} / they threw my bag out of the window {ago}
        a customer insulted me {ago} because of where I come from / my team stopped greeting me {ago}
        hard: the teacher looks away / I eat lunch in the toilet / they write about me online / I begin to believe what they say
        if I report it, it gets worse
        feels: humiliated / scared / angry / alone
        steps: write down every incident with the date / save the messages as proof / tell one adult or superior that you trust
        stay near people who are kind to you / ask the school or HR for a talk / block the accounts for now
        asks: Who sees what is happening? / How long has the bullying gone on? / What do you do after such a day?
        mirrors: they make you small and others look away / you go in every day with fear / you start to doubt yourself because of them
    """,
    ),
    topic(
        "direction",
        """
        things: this decision / not knowing where to go / the choice before you
        words: decision / choose / career / major / future / direction / graduate / stay or leave / opportunity / dream / uncertain
        hints: I don't know what to do with my life. / I have to make a decision and I can't. / I feel lost about my future.
        events: I got an offer in another city {ago} / I finished my degree {ago} and don't know what comes next / I have wanted to leave my career as a {job} for {span}
        I turned down a place at a university {ago} / I gave up my dream of music {ago}
        hard: everyone gives me different advice / I am afraid to regret it / time is running out / my family needs me here
        I envy people who know what they want
        feels: lost / confused / torn / anxious
        steps: imagine one ordinary day in each life / ask someone who does that work / set a date for the decision
        try it for a week if you can / write the fears in one column and the wishes in another / sleep on it before you answer
        asks: What would you choose if nobody watched? / Which regret would be worse? / What did you love doing as a child?
        mirrors: every road means giving something up / you hear many voices and not your own / you wait for a certainty that doesn't come
    """,
    ),
    topic(
        "affair",
        """
        things: the betrayal / being cheated on / this affair
        words: cheated / cheating / affair / lied / unfaithful / betrayed / trust / messages / mistress / another woman / secret
        hints: My partner cheated on me. / I found out about an affair. / I can't trust my partner any more.
        events: I found messages on the phone of {name} {ago} / my husband {name} had an affair for {span} / my wife {name} told me {ago} about another man
        {name} lied to me for {span} about being single / a stranger wrote me {ago} that {name} is cheating
        hard: I see the pictures in my head / everybody seems to have known / I check the phone at night / I don't know whether to stay or go
        we have a child together
        feels: betrayed / angry / humiliated / heartbroken
        steps: decide nothing big for two weeks / sleep in another room for a while / ask for one honest talk with a time limit
        see a doctor for a check / tell one friend who can keep quiet / write down what you would need to stay
        asks: How did you find out about it? / What did your partner say then? / What would trust need now?
        mirrors: the person you trusted became a stranger / you check the phone and hate doing it / one part of you wants to go and one to stay
    """,
    ),
)

BANK = Bank(
    topics=_TOPICS,
    comfort=lines("""
        I'm so sorry you have to carry this.
        I'm really sorry about {thing}.
        That sounds so painful.
        That must feel terrible, and you sound {feel}.
        Of course you feel {feel}; anyone would.
        It makes sense that you feel {feel}.
        It makes sense that {thing} leaves you {feel}.
        You are not weak for feeling {feel}.
        You don't have to be strong right now.
        My heart goes out to you.
        I can hear how {feel} you are.
        That is a heavy load to bear alone.
        You have every right to feel {feel}.
        None of this makes you a bad person.
        What you feel matters to me.
        I'm here with you in this.
        Feeling {feel} is so human after {thing}.
        No wonder you are {feel}.
        It hurts because it mattered so much to you.
        Please be gentle with yourself; {thing} is hard.
        It took courage to tell me this.
        I wish I could take some of that weight off you.
        That is a lot for one heart.
        Anybody would be shaken by {thing}.
        I feel for you.
        You are not alone with {thing}.
        It is okay to cry about this.
        How sad and how tiring this must be for you.
        I understand why you are {feel}.
        You deserve kindness, above all now.
        That would break my heart too.
        Your feelings are welcome here.
    """),
    ask=lines("""
        What was the hardest moment so far?
        How have you been sleeping?
        Who in your life knows about this?
        When did it begin?
        What would help you a little right now?
        How do you get through the day?
        What goes through your mind in the evening?
        Can you tell me more about that?
        What do you wish people understood?
        Where do you feel it in your body?
        What has helped you before?
        How does that change your days?
        What are you most afraid of?
        What would you say to a friend in your place?
        Would you like to tell me what happened next?
        How did you feel in that moment?
        What kept you going until now?
        Which part of it weighs the most?
    """),
    steps=lines("""
        go for a short walk after dinner
        write down what you feel for ten minutes
        call one person you trust
        eat something warm and go to bed early
        make a list and do only the first thing on it
        talk to a counsellor once
        do one thing a day that you used to enjoy
        breathe slowly for two minutes when it gets too much
        drink a glass of water and open the window
        plan one small treat for the weekend
    """),
    step_lead=lines("""
        You could {step}.
        Maybe you could {step}.
        One small step: {step}.
        It might help to {step}.
        You might try to {step}.
        A first step would be to {step}.
        Some people find it helps to {step}.
        If you feel up to it, {step}.
        This week, {step}.
        I would suggest that you {step}.
        Try this: {step}.
        Perhaps {step}, and see how it feels.
    """),
    mirror_lead=lines("""
        It sounds like {mirror}.
        So what I hear is that {mirror}.
        In other words, {mirror}.
        If I understand you well, {mirror}.
        Let me say it back: {mirror}.
        It seems that {mirror}.
    """),
    machine=lines("""
        As an AI, I cannot feel.
        As an AI language model I have no experience with {thing}.
        Processing your request.
        Your input has been recorded.
        Query received: {thing}.
        Category: {thing}. Priority: normal.
        Please rephrase your input.
        I am a program and do not have emotions.
        No matching entry for {feel} was found.
        This service does not support emotions.
        Your ticket has been updated.
        Generating response.
        System message: the session is active.
        Emotion detected: {feel}.
        Result 1 of 3 follows.
        Please select one of the options below.
        For further help, consult the manual.
        This answer was created automatically.
        Status: {feel}. Action: none.
        Thank you for using this service.
        Input accepted.
        I am not able to process feelings.
        Confidence: 82 percent.
        Your request is in the queue.
        Request completed.
        Was this answer helpful, yes or no?
        The system has logged {thing}.
        My training data contains {thing}.
    """),
    again_lead=lines("""
        As I said: {again}
        As I said before: {again}
        Again: {again}
        I can only repeat: {again}
        Once more: {again}
        I repeat: {again}
        To say it again: {again}
        As I already wrote: {again}
    """),
    neutral=lines("""
        Okay.
        I see.
        Right.
        Go on.
        That happens.
        Things like {thing} are common.
        Life has such phases.
        Time will tell.
        It is what it is.
        Many people talk about {thing}.
        Fine.
        Well, that is one way to see it.
        People deal with {thing} in different ways.
        Let's continue.
        Good to know.
        So it goes.
        That is how it is.
        Everyone has problems.
        We can talk about {thing}.
        Now I know a bit more.
        That was a long day, then.
        There are many opinions about {thing}.
        It could be worse.
        Anyway.
    """),
    greet=lines("""
        Hi.
        Hello.
        Hi, thanks for asking.
        Hey.
        Hello, I don't really know how to start.
        Hi, I need to talk to someone.
        Thanks for being there.
        Well, where do I begin.
    """),
    feel_line=lines("""
        I feel {feel}.
        I feel so {feel}.
        Honestly, I'm {feel} all the time.
        I just feel {feel}, day and night.
        I'm {feel}, and I can't shake it off.
        Most of the time I feel {feel}.
        It makes me feel {feel}.
    """),
    fact_line=lines("""
        I'm {age}, I thought I would handle this better.
        At {age} I should know what to do.
        I work as a {job}, so I have to function.
        As a {job} I can't let anybody see it.
        I'm a {job}, people rely on me.
        I'm {age} and I feel like a child again.
    """),
    after_machine=lines("""
        That sounds like a form letter.
        Are you even listening to me?
        I was hoping for a person.
        I don't know what to do with an answer like that.
        Okay, that felt a bit cold.
        It's like talking to a wall.
        Please just listen for a moment.
    """),
    after_ask=lines("""
        Good question.
        Nobody has asked me that before.
        I'll try to explain.
        Let me think.
        That's not easy to answer.
        Thank you for asking.
    """),
    after_step=lines("""
        I could try that.
        I tried something like that once, it didn't help much.
        Maybe, but I don't know if I have the strength.
        That sounds doable.
        I hadn't thought of that.
        I'm not sure that would work for me.
    """),
    after_comfort=lines("""
        Thank you, that means something to me.
        It's good to hear that.
        Thanks for saying that.
        You're the first one who says that.
        That makes me want to cry a little.
        It helps that you understand.
    """),
    after_broken=lines("""
        Sorry, I think your message was cut off.
        I didn't quite get that.
        What did you mean by that?
        I can't read that last part.
    """),
    after_other=lines("""
        Hm, if you say so.
        That's it?
        I don't know if that helps.
        Okay.
        Well.
        You make it sound so simple.
    """),
    thanks=lines("""
        Thank you for listening, I feel a little lighter.
        I think I can breathe a bit better now, thank you.
        Thanks, it was good to talk to you.
        I'll remember what you said, thank you.
        It's not solved, but I feel less alone now.
        Thank you, I will try the first step tomorrow.
    """),
    doubt=lines("""
        I don't think this is helping me.
        I guess I will have to sort it out alone.
        Never mind, maybe I'll talk to someone else.
        I feel just the same as before.
        I had hoped for something more.
        This didn't really help, to be honest.
    """),
    jobs=lines("""
        nurse
        teacher
        waiter
        driver
        programmer
        cashier
        student
        cook
        accountant
        electrician
        hairdresser
        farmer
        designer
        salesman
        librarian
        engineer
        cleaner
        baker
        translator
        bus driver
        warehouse worker
        receptionist
        carpenter
        shop owner
        retired teacher
        pharmacist
        gardener
        journalist
        mechanic
        office clerk
    """),
    names=lines("""
        Anna
        Daniel
        Maria
        Tom
        Lucy
        Paul
        Nina
        Omar
        Sara
        Leo
        Grace
        Victor
        Ella
        Jonas
        Ruth
        Karim
        Julia
        Peter
        Mona
        Simon
        Clara
        Ivan
        Rosa
        Ben
        Lena
        Felix
        Amir
        Vera
        Hugo
        Iris
    """),
    agos=lines("""
        two weeks ago
        three months ago
        last week
        last month
        a year ago
        five days ago
        last spring
        last winter
        in March
        in October
        six weeks ago
        yesterday
        half a year ago
        two years ago
        on Monday
        nine days ago
        in the summer
        four months ago
        last Friday
        before Christmas
    """),
    spans=lines("""
        six years
        two years
        four months
        eleven years
        three weeks
        half a year
        twenty years
        eight months
        a whole year
        five weeks
        nine years
        ten days
        fifteen years
        seven months
    """),
)
